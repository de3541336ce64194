"""The notebook runs from top to bottom and shows correct values."""

import json

import pytest

from tests.test_tools.tool_runner import ROOT

# runs behind the last cell, and computes what was shown in another way
CHECK = """
import json
import numpy as np
volume = cubes.volume()[0].amax((0, 1)).numpy()  # (36, 36)
blocks = volume.reshape(9, 4, 9, 4).max((1, 3)).ravel() > 0
centers, code = tokenizer.centers.numpy(), tokens.numpy()
cube = heat.numpy().reshape(16, 9, 4, 9, 4).transpose(1, 3, 0, 2, 4).reshape(81, -1)
print(json.dumps(dict(
    heat=list(heat.shape), same_clip=bool(np.array_equal(
        clip['keypoint'], dataset.get_data_info(39)['keypoint'])),
    occupied=bool(np.array_equal(blocks, occupied.numpy())), count=int(blocks.sum()),
    empty_has_token_0=bool((code[~blocks] == 0).all()), tokens=len(set(code[blocks].tolist())),
    rebuilt=float(rebuild_error), blank=float(blank_error),
    by_hand=float(np.mean((centers[code][:, :cube.shape[1]] - cube) ** 2) / 2),
    top1=metrics['acc/top1'], predicted=predicted, labels=labels,
    curve=curves['loss'][1].tolist())))
"""


@pytest.mark.slow
def test_notebook_runs_and_shows_pictures():
    nbformat = pytest.importorskip('nbformat', reason='needs nbclient and ipykernel')
    nbclient = pytest.importorskip('nbclient', reason='needs nbclient')
    pytest.importorskip('ipykernel', reason='needs ipykernel')
    path = ROOT / 'notebooks/mofm_tour.ipynb'
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == 'code']
    assert not any(cell.outputs or cell.execution_count for cell in code)  # small diffs

    notebook.cells.append(nbformat.v4.new_code_cell(CHECK))
    nbclient.NotebookClient(notebook, timeout=300, kernel_name='python3', resources=dict(
        metadata=dict(path=str(path.parent)))).execute()
    outputs = [output for cell in code for output in cell.outputs]
    pictures = [o for o in outputs if 'image/png' in o.get('data', {})]
    assert len(pictures) == 6
    text = ''.join(o.text for o in outputs if o.output_type == 'stream' and o.name == 'stdout')

    found = json.loads(''.join(output.text for output in notebook.cells[-1].outputs))
    assert found['heat'] == [16, 36, 36]
    assert found['same_clip']
    assert found['occupied']
    assert f'9 x 9 cubes, {found["count"]} of 81 occupied' in text
    assert found['empty_has_token_0']
    assert found['tokens'] > 20
    # |error| < 1, so that smooth L1 is half of the squared error
    assert found['rebuilt'] == pytest.approx(found['by_hand'], rel=1e-4)
    assert found['rebuilt'] < 0.8 * found['blank']
    hits = [p == label for p, label in zip(found['predicted'], found['labels'], strict=True)]
    assert len(hits) == 40
    assert sum(hits) / 40 == pytest.approx(found['top1'])
    assert f'top-1 on 40 unseen clips: {found["top1"]:.2f}' in text
    assert found['top1'] >= 0.6  # chance is 0.25
    assert found['curve'][-1] < 0.7 * found['curve'][0]
