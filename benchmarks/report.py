"""Report of `run.py` as Markdown, with targets."""

import itertools

import mmaction

#: Notes on the tables.
NOTES = dict(
    stages='One pre-training step: ours by `tokens` of MoFMBackbone, and the reference. Load and '
    'transform run in loader workers: their share is the number of cores that keep up with the '
    'step. GFLOP/s and GB/s are compared with the ceilings below; bytes are those that must be '
    'read or written. Peak memory '
    'excludes weights and state of the optimizer.',
    ceilings='Square matrix product; copy, bytes read and written.',
    equality='Loss before the first step, and masked tokens on which both teachers agree.',
    padding='Tokens of a clip with `tokens=occupied`: occupied and masked cubes. Padded are those '
    'that a batch would have up to its longest clip; only attention has them.',
    rendering='From keypoints to heat, with one read (sum) of the result; mmaction2 is its '
    'GeneratePoseTarget, on one core. Ratios of each round: median, lowest, highest.',
    embedding='From keypoints to embeddings (B, K, D), on one core if on the CPU.',
    head='T-Head and loss, forward and backward, batch and masks of the config. Peak memory of '
    'tensors, gradients included.',
    loader='Loader of pre-training, and one that returns the same heat: microseconds per sample '
    'of a worker and of the main process, and bytes per sample between them.',
    transforms='From the annotation file to a collated batch, on one core. MoFM returns key '
    'points, PoseC3D heat maps.',
    training='One training step with the batch in memory. FLOPs and parameters of the model.',
    inference='One clip from keypoints to the label, MotionInferencer.')


def targets(tables: dict, device: str) -> list:
    """Compare the measured tables with the targets."""
    parts = (_rendering, _embedding, _stages, _head, _loader, _training, _inference)
    return [dict(work=work, measured=measured, target=target or None, met=met if target else None)
            for part in parts
            for work, measured, target, met in part(tables, device == 'cuda')]


def _find(tables, table, **columns):
    return [row for row in tables.get(table, ())
            if all(row[name] == value for name, value in columns.items())]


def _rendering(tables, gpu):
    for row in _find(tables, 'rendering', view='volume')[-1:]:
        ratio = row['mmaction2 / this']
        yield (f'rendering, batch {row["batch"]}, against mmaction2, per core',
               f'{ratio:.1f}x ({row["lowest"]:.1f}x to {row["highest"]:.1f}x)', '>= 6x',
               row['lowest'] >= 6)
        if 'of copy' in row:
            yield ('rendering, of a copy on the device', f'{row["of copy"]:.0%}', '>= 70%',
                   row['of copy'] >= 0.7)


def _embedding(tables, gpu):
    for row in _find(tables, 'embedding', cubes='occupied'):
        ratio, difference = row['all / this'], row['largest difference']
        yield (f'{row["embedding"]} of occupied cubes only, {row["pass"]}',
               f'{ratio:.1f}x, difference {difference:.0e}', '>= 2x, <= 1e-5',
               ratio >= 2 and difference <= 1e-5)


def _stages(tables, gpu):
    step = {row['variant']: row for row in _find(tables, 'stages', stage='step')}
    targets_by_tokens = dict(all=1.8, occupied=4)
    reference = step.pop('reference, fp32', None)
    for variant, row in step.items():
        least = targets_by_tokens[variant.split(',')[0]]
        ratio = reference['ms/sample'] / row['ms/sample']
        memory = reference['peak MiB'] / row['peak MiB']
        yield (f'pre-training step, {variant}, against the reference',
               f'{ratio:.2f}x, {memory:.1f}x less memory', f'>= {least}x', ratio >= least)
    for row in _find(tables, 'stages', stage='render'):
        yield (f'rendering, share of the step, {row["variant"]}', f'{row["share"]:.1%}',
               gpu and '<= 3%', row['share'] <= 0.03)
    for row in _find(tables, 'stages', stage='encode'):
        yield (f'encoder, of the matmul ceiling, {row["variant"]}', f'{row["of matmul"]:.0%}',
               'bf16' in row['variant'] and '>= 45%', row['of matmul'] >= 0.45)


def _head(tables, gpu):
    for row in _find(tables, 'head')[1:]:
        ratio = row['peak / masked']
        yield (f'T-Head and loss, peak memory, {row["loss"]}, against masked positions only',
               f'{ratio:.1f}x', row['loss'] == 'all positions' and '>= 8x', ratio >= 8)


def _loader(tables, gpu):
    for row in _find(tables, 'loader'):
        if row['pipeline'].startswith('MoFM'):
            yield (f'loader, {row["pipeline"]}, {row["workers"]} workers, per core',
                   f'{row["samples/s per core"]:.0f} samples/s, {row["cores for 1,000/s"]:.2f} '
                   'cores for 1,000/s', None, None)


def _training(tables, gpu):
    for row in _find(tables, 'training'):
        if row['model'].startswith('MoFM'):
            peer, = _find(tables, 'training', model='PoseC3D')
            flops = row['forward GFLOP/sample'] / peer['forward GFLOP/sample']
            yield (f'training step of {row["model"]}, against PoseC3D',
                   f'{row["PoseC3D / this"]:.2f}x samples/s, {flops:.2f}x FLOPs',
                   row['model'].endswith('occupied') and '>= 3.2x', row['PoseC3D / this'] >= 3.2)


def _inference(tables, gpu):
    for row in _find(tables, 'inference', stage='step'):
        first = max(_find(tables, 'inference', variant=row['variant']),
                    key=lambda part: part['ms/sample'] * (part['stage'] != 'step'))
        yield (f'inference of a clip, {row["variant"]}',
               f'{row["ms/sample"]:.0f} ms, {first["stage"]} {first["share"]:.0%}', None, None)


def markdown(report: dict) -> str:
    """Format the report as Markdown."""
    lines = [f'# Benchmark, size {report["size"]}, {report["device"]}', '',
             f'{report["date"]}, commit {report["commit"]}, `{report["command"]}`', '',
             f'{report["machine"]}, mmaction2 {mmaction.__version__}', '',
             f'Clips: {report["clips"]}. Batch {report["batch"]}; medians of {report["repeats"]} '
             'rounds, and extremes in ms per sample.']
    for title, rows in report['tables'].items():
        if rows:
            columns = [c for c in dict.fromkeys(itertools.chain.from_iterable(rows))
                       if any(row.get(c) is not None for row in rows)]
            lines += ['', f'## {title}', '', *([NOTES[title], ''] if title in NOTES else ()),
                      '| ' + ' | '.join(columns) + ' |',
                      '|---' * len(columns) + '|']
            lines += ['| ' + ' | '.join(cell(column, row.get(column)) for column in columns)
                      + ' |' for row in rows]
    return '\n'.join(lines) + '\n'


def cell(column: str, value) -> str:
    """Format a value with three digits, or as percentage."""
    if value is None:
        return ''
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    if not isinstance(value, float):
        return f'{value:,}' if isinstance(value, int) else value
    if column == 'share' or column.startswith(('share of ', 'of ')):
        return f'{value:.1%}'
    return f'{value:,.0f}' if abs(value) >= 100 else f'{value:.3g}'
