"""What a config or a documented command reads, another one writes: checkpoints and data files."""

import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from mofm.utils.config import default_work_dir, load_config

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = {default_work_dir(path): path for folder in ('configs', 'projects')
           for path in sorted((ROOT / folder).rglob('*.py'))
           if 'configs' in path.parts and '_base_' not in path.parts}
PAGES = [path for pattern in ('*.md', 'docs/*.md', 'configs/**/*.md', 'projects/**/*.md')
         for path in sorted(ROOT.glob(pattern)) if path.name != 'CHANGELOG.md']
BLOCK = re.compile(r'^```bash\n(.+?)^```', re.MULTILINE | re.DOTALL)
CHECKPOINT = re.compile(r'(work_dirs/[\w/]+)/epoch_(\d+)\.pth')


@cache
def config(path):
    return load_config(path)


def values(cfg, keys):
    """Texts in settings with these names, at any depth."""
    if isinstance(cfg, dict):
        return [v for k, value in cfg.items() for v in (
            [value] if k in keys and isinstance(value, str) else values(value, keys))]
    return [v for part in cfg for v in values(part, keys)] if isinstance(cfg, list) else []


def checkpoints(path):
    """Work dirs and epochs of the checkpoints that a config starts from."""
    return [(folder, int(epoch)) for text in values(config(path).to_dict(), ('checkpoint', ))
            for folder, epoch in CHECKPOINT.findall(text)]


def commands(text):
    """Commands of a block, without comments, as words."""
    for line in re.sub(r'\\\n', ' ', text).splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r'\w+=\S*', words[0]):
            words = words[1:]
        if words:
            yield words


def trained(words):
    """The config that a command trains, and its work dir; None for other commands."""
    for tool in ('train.py', 'dist_train.sh', 'train'):
        if words[0] in ('python', 'bash', 'mofm') and Path(words[1]).name == tool:
            name = words[2]
            path = ROOT / name if name.endswith('.py') else ROOT / f'configs/{name}.py'
            work_dir = default_work_dir(path)
            if '--work-dir' in words:
                work_dir = words[words.index('--work-dir') + 1]
            return path, work_dir
    return None


@cache
def documented():
    """Configs by the work dirs that a page names for them."""
    return {done[1]: done[0] for page in PAGES for block in BLOCK.findall(page.read_text())
            for words in commands(block) if (done := trained(words)) and '--work-dir' in words}


@pytest.mark.parametrize('path', [path for path in CONFIGS.values() if 'quickstart' not in
                                  path.parts],  # tools/quickstart.py sets work dirs, and is tested
                         ids=lambda path: path.relative_to(ROOT).as_posix())
def test_checkpoint_of_a_config_is_the_last_of_another(path):
    for folder, epoch in checkpoints(path):
        before = CONFIGS.get(folder) or documented().get(folder)
        assert before, folder
        assert epoch == config(before).train_cfg.max_epochs, folder


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_of_a_page_follow_those_whose_results_they_read(page):
    blocks = BLOCK.findall(page.read_text())
    written = {done[1] for block in blocks for words in commands(block)
               if (done := trained(words))}
    for block in blocks:
        steps = [(words, trained(words)) for words in commands(block)]
        later = [done[1] for _, done in steps if done]
        for words, done in steps:
            if done:
                later.remove(done[1])
            needed = [part for word in words for part in CHECKPOINT.findall(word)]
            if done and 'init_cfg' not in ' '.join(words) and done[0].exists():
                needed += checkpoints(done[0])
            for folder, epoch in needed:
                assert folder not in later, (folder, words)
                # copies of a run for a seed, as in "the same with seed S"
                base = CONFIGS.get(folder) or CONFIGS.get(re.sub('_(s|seed)[S0-9]$', '', folder))
                assert base or folder in written, (folder, words)
                if base and 'max_epochs' not in block:
                    assert int(epoch) <= config(base).train_cfg.max_epochs, (folder, words)


def data_files(text):
    """Files below ``data`` that a text names, and the tables beside those of triplets."""
    found = set(re.findall(r'data/[\w/.-]+\.(?:pkl|arrow|npz)', text))
    for block in BLOCK.findall(text):
        for words in commands(block):
            if any(word.endswith('build_triplets.py') for word in words):
                stem = Path(words[4]).with_suffix('').as_posix()
                found |= {f'{stem}_txt.npz', f'{stem}_vis.npz'}
    return found


def test_pages_say_where_the_data_of_every_config_are_from():
    named = set().union(*(data_files(page.read_text()) for page in PAGES))
    keys = ('ann_file', 'class_table', 'visual_table', 'visual', 'text')
    missing = {}
    for path in CONFIGS.values():
        text = ''.join(line for line in path.read_text().splitlines() if line.startswith('#'))
        for file in values(config(path).to_dict(), keys):
            if file.startswith('data/') and file not in named | data_files(text):
                missing.setdefault(file, []).append(path.name)
    assert not missing
