"""Pages of the documentation site beyond docs/, and cross references in docstrings."""

import re
from pathlib import Path

import griffe
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PAGES = ['*.md', 'docs/**/*.*', 'benchmarks/**/*.md', 'configs/**/*.md', 'projects/**/*.md']
ROOMS = [ROOT / 'mofm', *sorted(path.parent for path in ROOT.glob('mofm/*/__init__.py')),
         ROOT / 'projects']
LINK = re.compile(r'\]\(([^)#:]+)')
ROLE = re.compile(r':(?:class|func|meth|mod|attr|data):`~?([\w.]+)`')
LITERAL = re.compile(r'(?<=\w)::$', re.MULTILINE)  # before an indented block of code


def on_config(config):
    """Add one page per room to the navigation."""
    config.nav.append({'API': [f'api/{room.name}.md' for room in ROOMS]})


def on_files(files, config):
    """Put every page at its path in the repository, with the files it links to."""
    for file in list(files):
        if file.abs_src_path and Path(file.abs_src_path).is_relative_to(ROOT / 'docs'):
            files.remove(file)
    paths = {path for pattern in PAGES for path in ROOT.glob(pattern) if path.suffix != '.py'}
    for page in [path for path in paths if path.suffix == '.md']:
        links = ((page.parent / link).resolve() for link in LINK.findall(page.read_text()))
        paths.update(path for path in links if path.is_file())
    for path in sorted(paths):
        uri = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    for room in ROOMS:
        files.append(File.generated(config, f'api/{room.name}.md', content=api_page(room)))
    return files


def api_page(room: Path) -> str:
    """Reference of all modules of a room."""
    lines = ['# ' + '.'.join(room.relative_to(ROOT).parts)]
    for path in sorted(room.glob('*.py' if room.name == 'mofm' else '**/*.py')):
        if {'configs', 'tools'} & set(path.parts):
            continue
        parts = path.relative_to(ROOT).with_suffix('').parts
        if parts[-1] == '__init__':  # its docstring; what it exports is below
            heading = path.parent != room
            lines.append(f'::: {".".join(parts[:-1])}\n    options:\n      members: []\n'
                         f'      show_root_heading: {str(heading).lower()}')
        else:
            lines.append(f'::: {".".join(parts)}')
    return '\n\n'.join(lines)


class Roles(griffe.Extension):
    """Markdown for the markup of Sphinx: roles become links if the name is ours, else code."""

    def on_package(self, *, pkg, loader, **kwargs):
        """Replace roles and literal blocks in all docstrings of a package."""
        paths, todo = {}, [pkg]
        for obj in todo:
            todo += [member for member in obj.members.values() if not member.is_alias]
            parts = obj.path.split('.')
            for start in range(len(parts)):
                paths.setdefault('.'.join(parts[start:]), []).append(obj.path)

        def link(match):
            found = paths.get(match[1], [])
            code = f'<code>{match[1].rsplit(".")[-1]}</code>'
            if len(found) != 1:
                return code
            return f'<autoref optional identifier="{found[0]}">{code}</autoref>'

        for obj in todo:
            if obj.docstring:
                obj.docstring.value = ROLE.sub(link, LITERAL.sub(':', obj.docstring.value))
