import numpy as np

from errclust_pipeline.analysis.comparison import seriated


def test_rows_alike_stand_together():
    blocks = np.repeat(np.eye(3), 4, axis=0)
    shuffled = np.random.default_rng(0).permutation(12)
    order = seriated(blocks[shuffled])
    assert sorted(order) == list(range(12))
    block_of = blocks[shuffled][order].argmax(axis=1)
    assert (np.diff(block_of) != 0).sum() == 2


def test_a_gradient_comes_back_in_order_lowest_first():
    values = np.array([[5.0], [1.0], [9.0], [3.0], [7.0]])
    assert values[seriated(values)].ravel().tolist() == [1.0, 3.0, 5.0, 7.0, 9.0]


def test_one_row_and_none():
    assert seriated(np.zeros((1, 4))) == [0]
    assert seriated(np.zeros((0, 4))) == []
