"""Tables of results and metafiles: configs exist and are all listed, numbers have a command."""

import re
from pathlib import Path

import pytest
import yaml

from mofm.utils.config import load_config

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = sorted({path.parent.relative_to(ROOT) for pattern in ('configs', 'projects')
                  for path in (ROOT / pattern).rglob('*.py')
                  if 'configs' in path.parts and '_base_' not in path.parts})
FILE = re.compile(r'(?<![\w./-])(?:configs|projects|tools)/[\w/-]+\.(?:py|sh)')


def metafile(folder):
    return yaml.safe_load((ROOT / folder / 'metafile.yml').read_text())


def tables(text):
    """Tables of a page: rows of cells without markup, the first is the head."""
    for lines in re.findall(r'(?:^\|.*\n)+', text, re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip('|').split('|')]
                for line in lines.splitlines()]
        yield [rows[0], *rows[2:]]


def test_model_index_imports_the_metafile_of_every_folder():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    assert {Path(path).parent for path in index['Import']} == set(FOLDERS)
    assert len(FOLDERS) == 6


def test_models_of_all_metafiles_have_own_names_and_a_collection():
    files = [metafile(folder) for folder in FOLDERS]
    collections = [part['Name'] for file in files for part in file.get('Collections', [])]
    models = [model for file in files for model in file['Models']]
    assert len({model['Name'] for model in models}) == len(models)
    assert {model['In Collection'] for model in models} == set(collections)
    assert len(set(collections)) == len(collections)


def _reads_test_of_a_set_with_val(dataset):
    name = Path(dataset.get('ann_file') or '').stem.removesuffix('_test')
    return name in ('penn_action', 'nw_ucla', 'utkinect_untrimmed', 'jhmdb')


@pytest.mark.parametrize('folder', FOLDERS, ids=str)
def test_metafile_lists_every_config_with_its_settings(folder):
    models = metafile(folder)['Models']
    assert {model['Config'] for model in models} == {
        path.relative_to(ROOT).as_posix() for path in (ROOT / folder).glob('*.py')}
    for model in models:
        cfg, metadata = load_config(ROOT / model['Config']), model.get('Metadata', {})
        training = cfg.get('train_cfg') or {}
        assert metadata.get('Epochs') == training.get('max_epochs')
        if training:
            assert metadata['Batch Size'] == cfg.train_dataloader.batch_size
            assert metadata['Training Data']
            if _reads_test_of_a_set_with_val(cfg.val_dataloader.dataset):  # once, at the end
                assert training.get('val_interval', 1) == training.max_epochs, model['Config']


@pytest.mark.parametrize('folder', FOLDERS, ids=str)
def test_results_of_metafile_have_a_command_and_are_in_the_table(folder):
    cells = [cell.replace('*', '') for rows in tables((ROOT / folder / 'README.md').read_text())
             for row in rows for cell in row]
    for model in metafile(folder)['Models']:
        for result in model.get('Results', []):
            assert result['Task']
            assert result['Dataset']
            assert f'`{result["Command"]}`' in cells
            for value in result['Metrics'].values():
                assert any(float(number) == value for cell in cells
                           for number in re.findall(r'\d+(?:\.\d+)?', cell)), (model, value)


@pytest.mark.parametrize('folder', FOLDERS, ids=str)
def test_table_rows_name_a_config_or_the_command_of_their_numbers(folder):
    text = (ROOT / folder / 'README.md').read_text()
    for head, *rows in tables(text):
        if head[-1] != 'command':
            assert head[0] in ('config', 'folder'), head
            assert not any(re.search(r'\d\.\d', cell) for row in rows for cell in row[2:])
            continue
        for row in rows:
            assert len(row) == len(head)
            assert re.fullmatch(r'`(?:python|bash) [^`]+`', row[-1]), row
            assert FILE.search(row[-1]), row
    for name in FILE.findall(text):
        assert (ROOT / name).is_file(), name
    for path in (ROOT / folder).glob('*.py'):
        assert f'({path.name})' in text
