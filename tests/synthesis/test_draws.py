from fdikp.synthesis.draws import Draws


def numbers(draws: Draws) -> list[float]:
    return [draws.uniform(0, 1) for _ in range(4)]


def test_a_fork_depends_on_seed_and_name_alone_and_leaves_its_stream_as_it_is():
    plain, forked = Draws(5), Draws(5)
    early = numbers(forked.fork("lens"))
    assert numbers(plain) == numbers(forked)
    assert numbers(forked.fork("lens")) == early
    streams = [early, numbers(Draws(5).fork("mosaic")), numbers(Draws(6).fork("lens")), numbers(Draws(5))]
    assert len({tuple(stream) for stream in streams}) == 4
