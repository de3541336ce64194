"""References to the three papers name sections, equations and tables that these have."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = [path for folder in ('benchmarks', 'configs', 'docs', 'mofm', 'projects', 'tools')
         for suffix in ('*.py', '*.md') for path in sorted((ROOT / folder).rglob(suffix))]

#: Name or number of a paper: its numbered sections, equations, tables and figures.
PAPERS = {
    r'MoFM|2502\.05432': (
        {'4.1', '4.1.1', '4.1.2', '4.2', '4.3', '5', '5.1', '5.2', '5.3', '5.4', '7.1', '7.2',
         '7.3', '7.4'}, 6, 9, 4),
    r'MotionBERT|2210\.06551': (
        {'3.1', '3.2', '3.3', '3.4', '4.1', '4.2', '4.3', '4.4', '4.5', '4.6', 'A.1', 'A.2'},
        10, 6, 4),
    r'T-MOR|2606\.21607': (
        {'II', 'II-A', 'II-B', 'II-C', 'III', 'III-A', 'III-B', 'III-C', 'III-D'}, 9, 5, 3)
}
ITEM = r'(?:[A-Z]\.\d|\d+(?:\.\d+)*|[IVX]+(?:-[A-D])?)'
LIST = rf'({ITEM}(?:(?:, | and | to |-){ITEM})*)'
KINDS = (r'Sec\. ', r'eq\. ', r'Tables? ', r'Figures? ')


def find_references(text: str):
    """Yield (paper, kind, item) of what follows the name of a paper within its parentheses."""
    text = re.sub(r'\n\s*#?\s*', ' ', text)
    for paper in PAPERS:
        for found in re.finditer(rf'(?:{paper})(?:, [Aa]rXiv [\d.]+)?((?:,? (?:and )?(?:'
                                 rf'{"|".join(KINDS)}){LIST})+)', text):
            for kind, pattern in enumerate(KINDS):
                for items in re.findall(pattern + LIST, found[1]):
                    for item in re.findall(ITEM, items):
                        yield paper, kind, item


def exists(paper: str, kind: int, item: str) -> bool:
    known = PAPERS[paper][kind]
    if kind == 0:
        return item in known
    number = int(item) if item.isdigit() else ['I', 'II', 'III', 'IV', 'V'].index(item) + 1
    return 1 <= number <= known


def test_references_to_papers_name_what_these_have():
    found = [(path.relative_to(ROOT).as_posix(), *reference) for path in FILES
             for reference in find_references(path.read_text())]
    assert len(found) > 40
    assert not [reference for reference in found if not exists(*reference[1:])]


@pytest.mark.parametrize(('text', 'wrong'), [
    ('the head (MoFM, Sec. 3.1)', 1), ('(MoFM, eq. 7)', 1), ('(MoFM, Sec. 4.2, eq. 2 to 6)', 0),
    ('T-MOR, arXiv 2606.21607, Sec. IV', 1), ('(arXiv 2210.06551, Sec. 3.3,\n# 4.2 and A.3)', 1)])
def test_wrong_reference_is_found(text, wrong):
    references = list(find_references(text))
    assert references
    assert sum(not exists(*reference) for reference in references) == wrong
