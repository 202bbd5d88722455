from fdikp.synthesis.rng import RandomStream


def numbers(rng: RandomStream) -> list[float]:
    return [rng.uniform(0, 1) for _ in range(4)]


def test_a_fork_depends_on_seed_and_name_alone_and_leaves_its_stream_as_it_is():
    plain, forked = RandomStream(5), RandomStream(5)
    early = numbers(forked.fork("lens"))
    assert numbers(plain) == numbers(forked)
    assert numbers(forked.fork("lens")) == early
    streams = [
        early,
        numbers(RandomStream(5).fork("mosaic")),
        numbers(RandomStream(6).fork("lens")),
        numbers(RandomStream(5)),
    ]
    assert len({tuple(stream) for stream in streams}) == 4
