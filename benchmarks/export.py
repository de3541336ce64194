"""Latency of an exported model: PyTorch as in tests, the graph in PyTorch, ONNX Runtime, 8 bits.

python benchmarks/export.py
python benchmarks/export.py --compile    # also torch.compile, which takes minutes
python benchmarks/export.py --openvino   # also OpenVINO in two precisions; pip install openvino

A call computes class scores from keypoints in pixels: in PyTorch by the transforms, the data
preprocessor and the model; else by the graph of mofm.apis.graph. Weights are random except for
those of the zoo, clips procedural. Runs are interleaved; times of one thread are processor time,
others are wall-clock time and need an idle machine.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from common import ROOT, machine
from mmengine.dataset import Compose

from mofm.apis.export import export_onnx, quantize_onnx, to_inputs
from mofm.apis.graph import ExportableModel
from mofm.apis.model import init_model
from mofm.datasets import SyntheticMotion, motion_collate

CONFIGS = {'tiny': 'configs/dt1_penn_tiny.py', 'mofm-tiny-penn': None,
           'base': 'configs/dt1_ntu60.py', 'base-occupied': 'configs/dt1_ntu60.py'}


def main():
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--sizes', nargs='+', choices=CONFIGS, default=list(CONFIGS))
    parser.add_argument('--batches', type=int, nargs='+', default=[1, 8])
    parser.add_argument('--seconds', type=float, default=10,
                        help='minimum time per line of the table, at least 2 runs [%(default)s]')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--compile', action='store_true', help='also torch.compile')
    parser.add_argument('--openvino', action='store_true', help='also OpenVINO')
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f'{machine(torch.device("cpu"))}, ONNX Runtime {onnxruntime.__version__}\n')
    names = ['torch', 'graph in torch', *['torch.compile'] * args.compile, 'ONNX Runtime', 'int8',
             *['OpenVINO', 'bfloat16'] * args.openvino]
    print('| size | batch | ' + ' | '.join((*names, *(f'torch / {name}' for name in names[2:]))) +
          ' | runs | occupied cubes | largest difference |')
    print('|---' * (2 * len(names) + 3) + '|')
    for size in args.sizes:
        settings = {'model.backbone.tokens': 'occupied'} if size == 'base-occupied' else None
        model = init_model(ROOT / CONFIGS[size] if CONFIGS[size] else size, device='cpu',
                           cfg_options=settings)
        with tempfile.TemporaryDirectory() as folder:
            export_onnx(model, Path(folder, 'model.onnx'))
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = args.threads
            # spinning threads would slow down the runs of PyTorch
            options.add_session_config_entry('session.intra_op.allow_spinning', '0')
            quantize_onnx(Path(folder, 'model.onnx'), Path(folder, 'int8.onnx'))
            sessions = {name: onnxruntime.InferenceSession(Path(folder, file), options).run
                        for name, file in (('ONNX Runtime', 'model.onnx'), ('int8', 'int8.onnx'))}
            if args.openvino:
                sessions.update(openvino_sessions(Path(folder, 'model.onnx'), args.threads))
        for batch in args.batches:
            clock = time.process_time if args.threads == 1 else time.perf_counter
            measure(model, sessions, size, batch, names, args.seconds, clock)


def openvino_sessions(path: Path, threads: int) -> dict:
    """Return functions as the ``run`` of a session of ONNX Runtime, for both precisions."""
    import openvino

    def session(precision):
        model = openvino.compile_model(path, 'CPU', dict(
            INFERENCE_NUM_THREADS=threads, INFERENCE_PRECISION_HINT=precision))
        return lambda _, inputs: model(inputs)

    return dict(OpenVINO=session('f32'), bfloat16=session('bf16'))


@torch.no_grad()
def measure(model, sessions: dict, size: str, batch: int, names: list, seconds: float, clock):
    """Measure and print a line of the table."""
    graph = ExportableModel(model)
    frames = graph.render.grid.num_frames
    clips = list(SyntheticMotion(batch, num_frames=(frames, frames)))
    pipeline = Compose(model.cfg.test_dataloader.dataset.pipeline)

    def regular():
        data = model.data_preprocessor(motion_collate([pipeline(dict(c)) for c in clips]))
        return np.stack([s.pred_score for s in model(**data, mode='predict')])

    def in_torch(function):
        return function(*map(torch.from_numpy, to_inputs(clips).values()))[0].numpy()

    compiled = torch.compile(graph)
    calls = {'torch': regular, 'graph in torch': lambda: in_torch(graph),
             'torch.compile': lambda: in_torch(compiled),
             **{name: lambda run=run: run(None, to_inputs(clips))[0]
                for name, run in sessions.items()}}
    results = {name: calls[name]() for name in names}  # warms up
    times, start = {name: [] for name in names}, time.perf_counter()
    while time.perf_counter() - start < seconds or len(times['torch']) < 2:
        for name in names:
            before = clock()
            calls[name]()
            times[name].append((clock() - before) * 1e3)
    share = graph.render(*map(torch.from_numpy, to_inputs(clips).values())).occupied()
    difference = max(np.abs(results[name] - results['torch']).max() for name in names
                     if name not in ('int8', 'bfloat16'))
    median = {name: np.median(values) for name, values in times.items()}
    cells = [f'{median[name]:.1f} ({np.quantile(times[name], 0.9):.1f}) ms' for name in names]
    print(f'| {size} | {batch} | ' + ' | '.join(cells) +
          ' | ' + ' | '.join(f'{median["torch"] / median[name]:.2f}' for name in names[2:]) +
          f' | {len(times["torch"])} | '
          f'{share.float().mean():.0%} | {difference:.0e} |', flush=True)


if __name__ == '__main__':
    main()
