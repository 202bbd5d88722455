"""`python -m fdikp.training --data DIR --out runs/x --minutes 60`."""

from fdikp.training.loop import train
from fdikp.training.recipe import parse_recipe

if __name__ == "__main__":
    train(parse_recipe())
