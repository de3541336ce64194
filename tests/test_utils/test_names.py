"""Names that are valid, and file names made of any."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mofm.utils.names import file_stem, is_name


@pytest.mark.parametrize('name', ['', 'S001C001P001R001A001', 'a/b c.mp4', 'ä', '歩く', '👩‍🦽',
                                  'a\u00a0b', '=1+1', '../..', 'x' * 1000])
def test_is_name_accepts_any_text_of_a_line(name):
    assert is_name(name)


@pytest.mark.parametrize('name', [
    None, 7, b'a', ['a'], 'x' * 1001, 'a\0', 'a\nb', '\r', '\t', '\x1b[2J', '\x7f', '\x85',
    '\u2028', '\u2029', '\ud800', 'a\udcff'])
def test_is_name_refuses_what_cannot_be_written_in_a_line(name):
    assert not is_name(name)


@pytest.mark.parametrize(('name', 'stem'), [
    ('walk', 'walk'), ('../../etc/x', '_.._etc_x'), ('a/b', 'a_b'), ('..', '_'), ('', '_'),
    ('C:\\x', 'C__x'), ('a:b', 'a_b'), ('con', '_con'), ('NUL.txt', '_NUL.txt'), ('COM1', '_COM1'),
    ('com¹.x', '_com¹.x'),
    ('console', 'console'), ('end.', 'end'), ('e\u0301', 'é'), ('\udcff', '_'), ('a\0b', 'a_b'),
    ('x' * 300, 'x' * 100), ('歩' * 100, '歩' * 66)])
def test_file_stem_is_valid_on_all_systems(name, stem):
    assert file_stem(name, {}) == stem


def test_file_stems_differ_also_without_case():
    used = {}
    names = ['a/b', 'a_b', 'A_b', 'a b', 'a_b_2', 'straße', 'STRASSE', 'é', 'e\u0301', '.', '..']
    stems = [file_stem(name, used) for name in names]
    assert stems[:5] == ['a_b', 'a_b_2', 'A_b_3', 'a_b_4', 'a_b_2_2']
    assert len({stem.casefold() for stem in stems}) == len(names)


@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=300)))
def test_file_stems_of_any_names_stay_in_the_folder(tmp_path_factory, names):
    folder, used = tmp_path_factory.mktemp('names'), {}
    for name in names:
        (folder / f'{file_stem(name, used)}.json').touch(exist_ok=False)
    assert len(list(folder.iterdir())) == len(names)
