"""Writes tests/data/evaluate/bootstrap.json with numpy and scipy (pip install numpy scipy).

The resamples are drawn with Philox4x32-10 (Salmon et al., SC 2011), written here a second time, so that numpy's means
and percentiles can be compared digit by digit.
"""

import json
import pathlib

import numpy
import scipy.stats

BOOTSTRAP = 7  # caprl::Purpose::bootstrap
MASK = 0xFFFFFFFF


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & MASK, (p0 >> 32) ^ c[3] ^ k[1], p0 & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


def drawn_items(seed, resample, items):
    key = (seed & MASK, (seed >> 32) ^ (BOOTSTRAP * 0x9E3779B1 & MASK))
    words = []
    for position in range((items + 3) // 4):
        words += philox((0, resample, 0, position), key)  # step, item, sample, position
    return numpy.array([word * items >> 32 for word in words[:items]])


def interval(statistic, items, level=0.95, seed=11, resamples=999):
    values = [statistic(drawn_items(seed, resample, items)) for resample in range(resamples)]
    low, high = numpy.percentile(values, [50 - 50 * level, 50 + 50 * level])
    return [float(statistic(numpy.arange(items))), float(low), float(high)]


def main():
    generator = numpy.random.default_rng(5)
    items = 57
    before = generator.beta(2, 3, items).round(6)
    after = numpy.minimum(1, before + generator.normal(0.2, 0.1, items)).round(6)
    whole = generator.integers(0, 8, (2, items))
    part = generator.binomial(whole, [[0.6], [0.8]])

    def share(row):
        return lambda draw: part[row][draw].sum() / whole[row][draw].sum()

    scipy_result = scipy.stats.bootstrap((after,), numpy.mean, n_resamples=200000, method="percentile",
                                         random_state=numpy.random.default_rng(1), batch=1000)
    result = {
        "before": before.tolist(),
        "after": after.tolist(),
        "before_shares": numpy.stack([part[0], whole[0]], 1).tolist(),
        "after_shares": numpy.stack([part[1], whole[1]], 1).tolist(),
        "mean": interval(lambda draw: after[draw].mean(), items),
        "mean_80": interval(lambda draw: after[draw].mean(), items, level=0.8),
        "difference": interval(lambda draw: after[draw].mean() - before[draw].mean(), items),
        "share": interval(share(1), items),
        "share_difference": interval(lambda draw: share(1)(draw) - share(0)(draw), items),
        "scipy_mean": [float(scipy_result.confidence_interval.low), float(scipy_result.confidence_interval.high)],
    }
    path = pathlib.Path(__file__).parent.parent / "data" / "evaluate" / "bootstrap.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
