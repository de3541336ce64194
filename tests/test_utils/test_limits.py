import pytest

from mofm.utils.checks import show
from mofm.utils.limits import LimitError, Limits, check_nesting, get_limits


def test_limits_variable_changes_named_limits_only(monkeypatch):
    monkeypatch.setenv('MOFM_LIMITS', 'expansion=1000 depth=9')
    assert get_limits() == Limits(expansion=1000, depth=9)


@pytest.mark.parametrize('text', ['depht=3', 'depth', 'depth=-1', 'depth=1e3',
                                  f'depth={"9" * 30}'])
def test_limits_variable_of_another_form_is_refused(monkeypatch, text):
    monkeypatch.setenv('MOFM_LIMITS', text)
    with pytest.raises(ValueError, match='MOFM_LIMITS'):
        get_limits()


def test_small_compressed_file_may_expand_to_the_small_limit():
    limits = Limits(expansion=10, small=1000)
    assert (limits.expanded(1), limits.expanded(500)) == (1000, 5000)


def test_show_of_shared_nested_tuples_is_short():
    value = 'x'
    for _ in range(200):
        value = (value, value)
    assert len(show(value)) <= 300


@pytest.mark.parametrize('value', [10**10000, 'x' * 10**6, {str(i): i for i in range(1000)}],
                         ids=type)
def test_show_of_large_values_is_short(value):
    assert len(show(value)) <= 300


def test_nesting_of_shared_texts_is_that_of_their_characters():
    check_nesting(['x' * 100] * 10**6, 5 * 10**6)
    with pytest.raises(LimitError, match='more than the limit expansion=100'):
        check_nesting([bytes(1000)] * 10**5, 1000)


def test_nesting_counts_the_longest_path():
    value = inner = [1]
    for _ in range(62):
        value = [inner, value]
    check_nesting(value)
    for deep in ([value, [[value]]], [[[value]], value]):
        with pytest.raises(LimitError, match='more than the limit depth=64'):
            check_nesting(deep)


def test_nesting_refuses_a_container_inside_of_itself():
    value = {'a': [1]}
    value['a'].append((value, ))
    with pytest.raises(LimitError, match='depth'):
        check_nesting(value)
