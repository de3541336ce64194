"""Damaged and hostile files of every reader: a named error or valid annotations."""
import copy
import io
import json
import multiprocessing
import os
import pickle
import random
import resource
import shutil
import struct
import subprocess
import time
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path, PurePosixPath, PureWindowsPath

import h5py
import numpy as np
import pytest
from scipy.io import loadmat

from mofm.annotations import AnnotationError, validate
from mofm.annotations.object_arrays import read_object_npz
from mofm.registry import SOURCES
from mofm.sources import BVH, NTU60, AlphaPose
from mofm.sources.base import FAULT
from tests.test_sources.native_files import SAMPLES, mocap, penn_action, pyskl, stg_nf

#: Damaged folders and damaged zip files of every sample.
FOLDERS, ARCHIVES = 40, 10
SECONDS = 5
# Readers that take more than one path, here folders inside of one.
_TWO_PATHS = (pyskl.KineticsFolder, stg_nf.UBnormalFolder)
# Files that say something about several recordings.
_SHARED = ('Charades_v1_test.csv', 'Charades_v1_train.csv', 'actionLabel.txt',
           'clap_test_split1.txt', 'clap_test_split2.txt', 'cross-subject.txt', 'k400.pkl',
           'kinetics_train_label.json', 'kinetics_val_label.json', 'shoot_bow_test_split1.txt',
           'shoot_bow_test_split3.txt', 'smarthome_CS_51.json', 'test_split_1.txt',
           'test_split_2.txt', 'train.txt', 'train_split_1.txt', 'train_split_2.txt')


# ------------------------------------------------------------------------------------- mutations
def spot(rng, size):
    """A place in a file; the ends are where headers are."""
    return min(rng.choice([rng.randrange(size + 1), rng.randrange(64),
                           max(0, size - rng.randrange(64))]), size)


def bytes_of(rng, content):
    """Damage that knows nothing about the format."""
    kind = rng.choice(['cut', 'head', 'flip', 'insert', 'delete', 'zeros', 'repeat', 'empty',
                       'blank', 'utf-16', 'bom', 'latin-1', 'nul', 'other'])
    at, size = spot(rng, len(content)), rng.choice([1, 2, 8, 64, 512])
    before, part, after = content[:at], content[at:at + size], content[at + size:]
    damage = {
        'cut': lambda: before,
        'head': lambda: part + after,
        'flip': lambda: flip_bits(rng, content),
        'insert': lambda: before + rng.randbytes(size) + part + after,
        'delete': lambda: before + after,
        'zeros': lambda: before + bytes(len(part)) + after,
        'repeat': lambda: before + part + part + after,
        'empty': lambda: b'',
        'blank': lambda: b' \r\n\t' * size,
        'utf-16': lambda: content.decode('latin-1').encode('utf-16'),
        'bom': lambda: b'\xef\xbb\xbf' + content,
        'latin-1': lambda: before + 'ÄÖÜé²'.encode('latin-1') + content[at + 1:],
        'nul': lambda: before + b'\0' + part + after,
        'other': lambda: rng.choice(_OTHER_FORMATS)}
    return damage[kind](), f'{kind} at {at}'


def flip_bits(rng, content):
    """Damage of single bits."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8, 50])):
        if data:
            data[spot(rng, len(data) - 1)] ^= 1 << rng.randrange(8)
    return bytes(data)


_OTHER_FORMATS = [b'null', b'[]', b'{}', b'0', b'"a"', b'PK\5\6' + bytes(18), b'\x93NUMPY\1\0',
                  b'\x80\4.', b'\x80\4N.', b'MATLAB 5.0', b'[' * 10**5, b'{"a":' * 10**4,
                  b'[' * 500 + b']' * 500, b'1' * 5000, b'1e400', b'NaN', b'HIERARCHY',
                  pickle.dumps([{}]), pickle.dumps({})]


_NUMBERS = [0, 1, -1, .5, -1e-9, 1e-320, 300, 70000, 2**31 - 1, 2**31, 2**63, 2**64, 10**400,
            -10**400, 1e39, 1e300, -1e300, float('nan'), float('inf'), float('-inf')]
_TEXTS = ['', 'text', '1.5', 'nan', '../../x', '/x', 'C:\\x', '..', '.', '\ud800', 'a\0b', '٣',
          '²', 'x' * 2000]


def parts(tree):
    """Keys of a container."""
    return list(tree) if isinstance(tree, dict) else list(range(len(tree)))


def value_of(rng):
    """Something that JSON can hold; marks stand for what Python does not write."""
    return rng.choice([
        rng.choice(_NUMBERS), rng.choice(_NUMBERS), rng.choice(_TEXTS), None, True, False, [], {},
        [[]], [None], {'a': 1}, [1, 2, 3], [1e39] * 51, [{}], '<1e400>', '<deep>', '<digits>'])


def change_tree(rng, tree, value_of):
    """A change at a random node of nested lists and dicts; the tree and what was done."""
    root = [tree]
    parent, key, where = root, 0, []
    while isinstance(parent[key], (dict, list)) and parent[key] and rng.random() < .75:
        parent, key = parent[key], rng.choice(parts(parent[key]))
        where.append(key)
    node = parent[key]
    kinds = ['value'] * 6
    if parent is not root:
        kinds += ['delete', 'copy', 'rename' if isinstance(parent, dict) else 'shuffle']
    if isinstance(node, (dict, list)):
        kinds += ['kind', 'fewer', 'reverse']
    kind = rng.choice(kinds + ['wrap', 'near'])
    if kind in ('kind', 'fewer', 'reverse', 'wrap', 'near'):
        parent[key] = change_node(rng, kind, node, value_of)
    elif kind == 'delete':
        del parent[key]
    elif kind == 'copy' and isinstance(parent, list):
        parent.insert(rng.randrange(len(parent) + 1), copy.deepcopy(node))
    elif kind == 'copy':
        parent[rng.choice([f'{key}<same>', f'0{key}', f'{key} ', f'{key}0'])] = copy.deepcopy(node)
    elif kind == 'rename':
        parent[rng.choice(_TEXTS + ['1', '01', '9' * 30])] = parent.pop(key)
    elif kind == 'shuffle':
        rng.shuffle(parent)
    else:
        parent[key] = value_of(rng)
    return root[0], f'{kind} at {where}'


def change_node(rng, kind, node, value_of):
    """Something else that was made from a node."""
    if kind == 'kind':
        return list(node.values()) if isinstance(node, dict) else {
            str(i): item for i, item in enumerate(node)}
    if kind == 'fewer':
        keep = parts(node)[:rng.randrange(len(node) + 1)]
        return {key: node[key] for key in keep} if isinstance(node, dict) else node[:len(keep)]
    if kind == 'reverse':
        return node[::-1] if isinstance(node, list) else dict(reversed(node.items()))
    if kind == 'wrap':
        return [node]
    if type(node) in (int, float) and abs(node) < 1e300:
        return rng.choice([-node, node + 1, node + .5, node * 1e6, str(node), bool(node)])
    return value_of(rng)


def json_of(rng, content):
    """Damage to the structure of a JSON file."""
    tree, done = json.loads(content), []
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        tree, what = change_tree(rng, tree, value_of)
        done.append(what)
    depth = rng.choice([30, 100, 480, 900, 10**5])
    text = json.dumps(tree).replace('<same>', '').replace('"<1e400>"', '1e400').replace(
        '"<deep>"', '[' * depth + ']' * depth).replace('"<digits>"', '1' * 5000)
    return text.encode(), ', '.join(done)


_WORDS = ['nan', 'inf', '-inf', '1e400', '9' * 400, '1e39', 'abc', '', '-1', '0', '1', '2',
          '99999999', '999999999', '1.5', '0x10', '1_0', '٣', '1,2', '#', '"1"', "'", '\0',
          'é', '{', '}', '1j', 'True', 'End', 'OFFSET', '1 2', '\t', '\r', '\x1f', '1e-400',
          '-0', '1:', '²']


def text_of(rng, content):
    """Damage to the words and lines of a text."""
    lines = content.decode().split('\n')
    done = []
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        at = spot(rng, len(lines) - 1)
        words = lines[at].split(' ')
        word = rng.randrange(len(words))
        kind = rng.choice(['word', 'word', 'word', 'drop word', 'more', 'twice', 'drop line',
                           'line', 'swap', 'blank', 'join', 'count', 'crlf', 'many'])
        change_words(rng, kind, words, word)
        lines[at] = ' '.join(words)
        change_lines(rng, kind, lines, at)
        done.append(f'{kind} in line {at}')
    return '\n'.join(lines).encode(errors='surrogatepass'), ', '.join(done)


def change_words(rng, kind, words, word):
    """A change at one word of a line, in place."""
    if kind == 'word':
        words[word] = rng.choice(_WORDS)
    elif kind == 'drop word':
        del words[word]
    elif kind == 'more':
        words.insert(word, rng.choice(_WORDS))
    elif kind == 'twice':
        words.insert(word, words[word])


def change_lines(rng, kind, lines, at):
    """A change at one of the lines, in place."""
    if kind == 'drop line' and len(lines) > 1:
        del lines[at]
    elif kind == 'line':
        lines.insert(at, lines[at])
    elif kind == 'swap':
        other = rng.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    elif kind == 'blank':
        lines.insert(at, '')
    elif kind == 'join':
        lines[at:at + 2] = [' '.join(lines[at:at + 2])]
    elif kind == 'crlf':
        lines[:] = [line + '\r' for line in lines]
    elif kind == 'count':
        numbers = [i for i, line in enumerate(lines) if line.strip().isdigit()] or [at]
        lines[rng.choice(numbers)] = rng.choice(_WORDS)
    elif kind == 'many':
        lines[at:at] = [lines[at]] * 200


def array_of(rng, array):
    """Another array."""
    array = np.array(array)
    kind = rng.choice(['type', 'type', 'nan', 'inf', 'large', 'negative', 'axes', 'shape', 'part',
                       'none', 'more', 'scalar', 'objects', 'swapped', 'fortran', 'zeros'])
    if kind == 'type':
        array = cast(array, rng.choice(['f2', 'f4', 'f8', 'i1', 'u1', 'i8', 'u8', 'c8', 'b1',
                                        'S5', 'U5', 'U0', 'V4', 'M8[s]', 'm8[s]', 'g', 'i4,f4']))
    elif kind in ('nan', 'inf', 'large', 'negative') and array.size and array.dtype.kind in 'fiu':
        array = array.astype(np.float64)
        array.flat[rng.randrange(array.size)] = dict(
            nan=np.nan, inf=-np.inf, large=rng.choice([1e5, 1e39, 1e300]), negative=-3)[kind]
    elif kind == 'axes':
        array = rng.choice([array[None], array[..., None], array.T, array.ravel()])
    elif kind == 'shape':
        array = np.zeros(rng.choice([(), (0,), (0, 17, 2), (3, 0, 17, 2), (0, 10**9, 17, 2),
                                     (2, 2), (1,) * 20, (10**9, 0)]), array.dtype)
    elif kind == 'part' and array.ndim:
        array = array[rng.choice([slice(1), slice(1, None), slice(None, None, -1), slice(0)])]
    elif kind == 'more' and array.ndim:
        array = np.concatenate([array, array])
    elif kind == 'scalar' and array.size:
        array = array.flat[0]
    elif kind == 'objects':
        array = np.array([[1, 'a'], [None, {}]], object)
    elif kind == 'swapped':
        array = array.astype(array.dtype.newbyteorder())
    elif kind == 'fortran':
        array = np.asfortranarray(array)
    elif kind == 'zeros':
        array = np.zeros_like(array)
    return array, kind


def cast(array, dtype):
    """Values of another type where they can be converted, else zeros."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            return array.astype(dtype)
        except (TypeError, ValueError):
            return np.zeros(array.shape, dtype)


def npy(shape, descr="'<f4'", data=b'', rest=''):
    """Bytes of an ``.npy`` file with any header."""
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, {rest}}}\n".encode()
    return b'\x93NUMPY\1\0' + struct.pack('<H', len(head)) + head + data


def objects_of(rng, content):
    """Damage to the dicts that an ``.npz`` file holds as pickles, or code that must not run."""
    arrays = read_object_npz(io.BytesIO(content))
    key = rng.choice(list(arrays))
    value, kind = change_tree(rng, arrays[key], python_of)
    members = {name: npy_of(np.array([item, None], object)[:1].reshape(()))
               for name, item in {**arrays, key: value}.items()}
    if rng.random() < .2:
        start = members[key].index(b'\n') + 1
        members[key], kind = members[key][:start] + payload(rng, OPENED), 'code'
    return zipped(members), f'{kind} of {key}'


def zipped(members):
    """Bytes of an ``.npz`` file with these members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as archive:
        for name, member in members.items():
            archive.writestr(f'{name}.npy', member)
    return out.getvalue()


def npz_of(rng, content):
    """Damage to the arrays of an ``.npz`` file."""
    if any(isinstance(item, dict) for item in read_object_npz(io.BytesIO(content)).values()):
        return objects_of(rng, content)
    with np.load(io.BytesIO(content)) as data:
        arrays = {key: npy_of(value) for key, value in data.items()}
        key = rng.choice(list(arrays))
        kind = rng.choice(['array'] * 6 + ['header', 'header', 'drop', 'rename', 'add', 'pickle'])
        if kind == 'array':
            array, kind = array_of(rng, data[key])
            arrays[key] = npy_of(array)
        elif kind == 'header':
            shape = rng.choice(['(1000000000000,)', '(10, 22, 3)', '(-1, 22, 3)', '(2,', '1',
                                '(1.5,)', '(99999999999999999999,)', '(4294967296, 4294967296)',
                                '(True,)', '(' * 300, '(1000000000000, 0, 3)'])
            descr = rng.choice(["'<f4'", "'<f4'", "'O'", "'U0'", "'V0'", "'<U99999999'",
                                "[('a','f4')]", "'f99'", '1', "('<f4', (9999999, 99))"])
            arrays[key] = npy(shape, descr)
        elif kind == 'drop':
            del arrays[key]
        elif kind == 'rename':
            name = rng.choice(['..', '../a', '/a', 'b', 'length', 'name', 'joints', ' '])
            arrays[name] = arrays.pop(key)
        elif kind == 'add':
            name = rng.choice(['length', 'name', 'joints', 'c', 'x/y'])
            arrays[name] = npy_of(array_of(rng, data[key])[0])
        else:
            arrays[key] = payload(rng, OPENED)
    return zipped(arrays), f'{kind} of {key}'


def npy_of(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def mat_of(rng, content):
    """Damage to the variables of a MATLAB file."""
    fields = {k: v for k, v in loadmat(io.BytesIO(content)).items() if not k.startswith('__')}
    key = rng.choice(list(fields))
    kind = rng.choice(['array', 'array', 'array', 'drop', 'value'])
    if kind == 'array':
        array, kind = array_of(rng, fields[key])
        fields[key] = array if array.dtype.kind in 'fiubcUSO' and array.size < 10**6 else 1
    elif kind == 'drop':
        del fields[key]
    else:
        fields[key] = rng.choice([{'a': 1}, [], [[1], 'a'], 'x' * 1000, -1, 1e300, np.nan, 'BOWL'])
    try:
        return penn_action.mat(fields, rng.random() < .5), f'{kind} of {key}'
    except Exception:  # scipy cannot write it
        return b'', 'empty'


OPENED = Path()  # what a pickle would make if it were run, set by the fixture


class Run:
    """A pickle of it calls a function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def payload(rng, marker):
    """A pickle that makes a folder when it is read by :func:`pickle.load`."""
    run = rng.choice([
        Run(os.mkdir, str(marker)), Run(eval, f'__import__("os").mkdir({str(marker)!r})'),
        Run(exec, f'import os; os.mkdir({str(marker)!r})'), Run(os.system, f'mkdir {marker}'),
        Run(subprocess.getoutput, f'mkdir {marker}'), Run(map, os.mkdir, [str(marker)])])
    return pickle.dumps(rng.choice([
        run, [run], {'annotations': [{'frame_dir': run}]}, {'annotations': [], 'split': run},
        [{'frame_dir': 'a', 'label': 0, 'keypoint': np.array([run], object)}], {'keypoint': run},
        OrderedDict(a=run)]), rng.choice([0, 2, 4, 5]))


def python_of(rng):
    """Something that a pickle can hold."""
    return rng.choice([
        value_of(rng), np.float32('nan'), np.int64(3), np.bool_(True), b'bytes', bytearray(b'a'),
        (1, 2), (3, ), {1, 2}, frozenset('ab'), 1j, np.array(3), np.array('text'),
        np.zeros((0, )), np.full((2, 3, 17, 2), np.nan), OrderedDict(a=1), np.array([5, 6]),
        np.array([True]), np.datetime64('2020-01-01'), np.ones((1, 4, 17, 2), np.float16)])


def pickle_of(rng, content):
    """Damage to what is in a pickle, or code that must not run."""
    if rng.random() < .15:
        return payload(rng, OPENED), 'code'
    tree, done = pickle.loads(content), []  # one of the samples
    for _ in range(rng.choice([1, 1, 2])):
        annotations = tree['annotations'] if isinstance(tree, dict) and isinstance(
            tree.get('annotations'), list) else tree if isinstance(tree, list) else [tree]
        item = rng.choice(annotations) if annotations else None
        if isinstance(item, dict) and item and rng.random() < .6:
            key = rng.choice(list(item))
            is_array = isinstance(item[key], (np.ndarray, tuple))
            item[key], what = array_of(rng, item[key]) if is_array and rng.random() < .7 else (
                python_of(rng), 'value')
            done.append(f'{what} of {key}')
        else:
            tree, what = change_tree(rng, tree, python_of)
            done.append(what)
    return pickle.dumps(tree, rng.choice([2, 3, 4, 5])), ', '.join(done)


def csv_of(rng, content):
    """Damage to the cells and lines of a table."""
    damaged, what = text_of(rng, content.replace(b' ', b'_').replace(b',', b' '))
    return damaged.replace(b' ', b','), what


def hdf5_of(rng, content):
    """Damage to the arrays and attributes of an HDF5 file."""
    out = io.BytesIO(content)
    with h5py.File(out, 'r+') as file:
        names = []
        file.visit(names.append)
        name = rng.choice([name for name in names if getattr(file[name], 'shape', 1) != ()])
        node = file[name]
        kind = rng.choice(['array'] * 6 + ['drop', 'link', 'soft', 'attribute', 'huge', 'vlen'])
        if kind == 'attribute' or isinstance(node, h5py.Group):
            for key in list(node.attrs):
                node.attrs[key] = rng.choice([1, 'text', '[1', '{}', [1, 2], ['a'], b'N.', 1e300,
                                              np.bytes_(payload(rng, OPENED))])
            return out.getvalue(), f'attributes of {name}'
        array, attributes = node[()], dict(node.attrs)
        del file[name]
        replace_array(rng, kind, file, name, array)
        if isinstance(file.get(name, getlink=True), h5py.HardLink):
            for key, value in attributes.items():
                file[name].attrs[key] = value
    return out.getvalue(), f'{kind} of {name}'


def replace_array(rng, kind, file, name, array):
    """Write something else than an array of an HDF5 file."""
    if kind == 'array' and array.dtype.names:
        field = rng.choice(array.dtype.names)
        values, _ = array_of(rng, array[field])
        if values.shape == array[field].shape and values.dtype.kind in 'iufb':
            array[field] = cast(values, array[field].dtype)
            file[name] = array
    elif kind == 'array' and array.dtype != object:
        array, _ = array_of(rng, array)
        if array.dtype.kind in 'iufbS' and array.size < 10**6:
            file[name] = array
    elif kind == 'link':
        file[name] = h5py.ExternalLink('other.h5', '/a')
    elif kind == 'soft':
        file[name] = h5py.SoftLink(f'/{name}')
    elif kind == 'huge':
        file.create_dataset(name, (10**6, 10**6), 'f8', chunks=(1000, 1000), compression='gzip')
    elif kind == 'vlen':
        file.create_dataset(name, data=['x' * 1000] * 100, dtype=h5py.string_dtype())


def one_array_of(rng, content):
    """Damage to the array of an ``.npy`` file."""
    array, kind = array_of(rng, np.load(io.BytesIO(content)))
    return npy_of(array), kind


STRUCTURE = {'.json': json_of, '.csv': csv_of, '.h5': hdf5_of, '.slp': hdf5_of, '.txt': text_of,
             '.skeleton': text_of, '.tagstream': text_of, '.bvh': text_of, '.trc': text_of,
             '.mvnx': text_of, '.npy': one_array_of, '.npz': npz_of, '.mat': mat_of,
             '.pkl': pickle_of}


def zip_of(rng, files):
    """Bytes of a damaged zip file."""
    names = {name: name for name in files}
    kind = rng.choice(['names', 'names', 'twice', 'bytes', 'bytes', 'bytes', 'cut', 'sizes',
                       'flags', 'member', 'extra'])
    what = kind
    chosen = rng.choice(list(files))
    content = dict(files)
    if kind == 'names':
        prefix = rng.choice(['../../', '/', '//', 'C:\\', './', '..\\..\\', 'a/../../', 'ä/',
                             'x' * 300 + '/', '/' + 'x' * 300 + '/', 'a\0b/', '\n/', '\udcff/',
                             '[*]/', '**/', ' /'])
        every = rng.random() < .5
        names = {name: prefix + name if every or name == chosen else name for name in files}
        if rng.random() < .3:  # without the folders
            names = {name: prefix + PurePosixPath(name).name for name in files}
        what = f'{prefix!r} before names'
    elif kind == 'member':
        content[chosen], what = bytes_of(rng, files[chosen])
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, 'w', rng.choice([0, 8])) as archive:
        warnings.simplefilter('ignore')
        for name, member in content.items():
            archive.writestr(names[name].encode(errors='replace').decode(), member)
        if kind == 'twice':
            other, _ = bytes_of(rng, files[chosen])
            archive.writestr(chosen, rng.choice([files[chosen], b'', other]))
        elif kind == 'extra':
            archive.writestr(chosen + '/', b'')
            archive.writestr('../' + chosen + '.txt', b'')
    data = bytearray(out.getvalue())
    directory = data.index(b'PK\1\2')
    if kind == 'bytes':
        for _ in range(rng.choice([1, 2, 5, 20])):
            first = rng.choice([0, directory, max(0, len(data) - 30)])
            data[rng.randrange(first, len(data))] = rng.randrange(256)
    elif kind == 'cut':
        del data[rng.randrange(len(data)):]
    elif kind in ('sizes', 'flags'):  # of the first file in the directory
        code, offset = ('I', rng.choice([16, 20, 24, 42])) if kind == 'sizes' else (
            'H', rng.choice([6, 8, 10, 28, 30]))
        number = rng.choice([0, 1, 0x800, 0xffff, 0xfffe, 8, 9, 12, 14, 100])
        struct.pack_into('<' + code, data, directory + offset, number)
        what = f'{number} at {offset} of the directory'
    return bytes(data), what


# ---------------------------------------------------------------------------------------- checks
def plain(items):
    """Annotations that can be compared."""
    return [({key: value.tolist() if isinstance(value, np.ndarray) else value
              for key, value in ann.items()}, list(splits)) for ann, splits in items]


def check_items(items, classes=()):
    """Check that annotations are valid."""
    for ann, splits in items:
        assert validate(ann, num_classes=len(classes) or None, allow_empty=True) is None
        assert ann['keypoint'].dtype == np.float16 == ann['keypoint_score'].dtype
        assert ((ann['keypoint_score'] >= 0) & (ann['keypoint_score'] <= 1)).all()
        for name in (ann['frame_dir'], ann.get('clip', 'a'), *splits):
            assert isinstance(name, str)
            assert name.encode()
            for path in (PureWindowsPath(name), PurePosixPath(name)):
                assert not path.anchor, name
                assert '..' not in path.parts, name


def read(reader, path, strict, kwargs):
    """The source, its annotations and the error of the class or of the iteration."""
    source, items, error = None, [], None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        try:
            source = reader(path, strict=strict, **kwargs)
            items = list(source)
        except AnnotationError as e:
            error = e
    assert not caught, f'warned: {caught[0].message}'
    return source, items, error


def check(reader, path, kwargs):
    """Both modes; returns the annotations without ``strict``, None if the class refuses."""
    start = time.process_time()
    source, items, error = read(reader, path, True, kwargs)
    check_items(items, reader.classes)
    lenient, kept, refused = read(reader, path, False, kwargs)
    if refused:
        assert lenient is None, f'raised although not strict: {refused}'
        assert source is None
    else:
        assert bool(lenient.problems) == bool(error), f'{error} became {lenient.problems}'
        check_items(kept, reader.classes)
        if not error:
            assert plain(kept) == plain(items)
    for problem in (error, refused, *(lenient.problems if lenient else ())):
        if problem:
            assert str(path) in str(problem)
            assert FAULT not in str(problem)  # an exception that the reader did not foresee
            assert len(str(problem)) < 10**4
            str(problem).encode()  # can be printed
    assert time.process_time() - start < 2 * SECONDS
    return None if refused else kept


class Sample:
    """A sample in a folder, twice, so that one of them is not touched."""

    def __init__(self, name, folder):
        self.reader, self.files, self.kwargs = SAMPLES[name]
        self.name, self.folder = name, folder / 'data'
        self.archive = folder / 'data.zip'
        for file, content in self.files.items():
            for path in (self.folder / file, self.folder / 'other' / file):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        everything = list(self.reader(self.folder, strict=True, **self.kwargs))
        check_items(everything, self.reader.classes)
        assert everything
        names = {name for ann, _ in everything for name in (
            ann['frame_dir'], ann['frame_dir'].removesuffix('_v0'), ann.get('clip', 'a'))}
        self.list = folder / 'list.txt'
        self.list.write_text(''.join(f'{name} 1\n' for name in sorted(names)))
        self.expected = [self._rest(self.reader(self.folder, strict=True, **self._options(seed)))
                         for seed in range(2)]

    def _options(self, seed):
        """With a list of labels in every second case, for readers that take one."""
        has_list = seed % 2 and not self.reader.classes
        return dict(self.kwargs, lists=dict(train=self.list)) if has_list else self.kwargs

    def _rest(self, items):
        """Annotations of files in ``other``: of those that have a copy there, the second one."""
        found = plain(items)
        other = [item for item in found if item[0]['frame_dir'].startswith('other/')]
        if other or self.reader in _TWO_PATHS:
            return other
        return [item for i, item in enumerate(found) if item in found[:i]]

    def damage(self, seed):
        """One damaged file among good ones."""
        rng = random.Random(f'{self.name} {seed}')
        file = rng.choice(sorted(self.files))
        suffix = PurePosixPath(file).suffix
        mutate = STRUCTURE.get(suffix, bytes_of) if rng.random() < .65 else bytes_of
        content, what = mutate(rng, self.files[file])
        where = f'{self.name!r} {seed}: {mutate.__name__}({file}): {what}'
        (self.folder / file).write_bytes(content)
        try:
            items = check(self.reader, self.folder, self._options(seed))
            if PurePosixPath(file).name not in _SHARED:
                assert items is not None
                found = plain(items)
                for item in self.expected[seed % 2]:
                    assert item in found, f'lost {item[0]["frame_dir"]}'
            assert not OPENED.exists(), 'code was run'
        except Exception as error:
            raise AssertionError(f'{where}: {type(error).__name__}: {error}') from error
        finally:
            (self.folder / file).write_bytes(self.files[file])

    def damage_archive(self, seed):
        """A damaged zip file."""
        rng = random.Random(f'{self.name} zip {seed}')
        content, what = zip_of(rng, self.files)
        self.archive.write_bytes(content)
        try:
            check(self.reader, self.archive, self.kwargs)
        except Exception as error:
            raise AssertionError(f'{self.name!r} zip {seed}: {what}: {type(error).__name__}: '
                                 f'{error}') from error


@pytest.fixture(scope='module', autouse=True)
def opened(tmp_path_factory):
    global OPENED
    OPENED = tmp_path_factory.mktemp('code') / 'run'


def test_fuzz_has_a_sample_of_every_reader():
    readers = {reader for reader, _, _ in SAMPLES.values()}
    for name, reader in SOURCES.module_dict.items():
        ours = reader.__module__.startswith('mofm.')  # not a plug-in that another test imported
        assert not ours or any(issubclass(r, reader) for r in readers), name
    archives = sum(reader not in _TWO_PATHS for reader, _, _ in SAMPLES.values())
    assert len(SAMPLES) * FOLDERS + archives * ARCHIVES >= 2000


@pytest.mark.parametrize('name', sorted(SAMPLES))
def test_damaged_file_gives_named_error_or_valid_annotations(name, tmp_path):
    sample = Sample(name, tmp_path)
    for seed in range(FOLDERS):
        sample.damage(seed)
    if sample.reader not in _TWO_PATHS:
        for seed in range(ARCHIVES):
            sample.damage_archive(seed)


# ----------------------------------------------------------------------------- files beside them
def test_damaged_list_or_map_is_named(tmp_path):
    """What users write themselves is checked when the reader is made."""
    data, file = tmp_path / 'data', tmp_path / 'list.txt'
    cases = dict(
        lists=(AlphaPose, 'alphapose', b'walk 0\nother/a b.mp4, 3\n\nwalk.avi 0\n'),
        missing=(NTU60, 'ntu60_2d', b'missing:\nS001C001P001R001A001\nS001C001P001R001A002\n'),
        joint_map=(BVH, 'bvh', b'{"nose": "Head_End", "left_hip": ["LeftUpLeg", "LeftLeg"]}'))
    for option, (reader, name, content) in cases.items():
        shutil.rmtree(data, ignore_errors=True)
        for path, native in SAMPLES[name][1].items():
            (data / path).parent.mkdir(parents=True, exist_ok=True)
            (data / path).write_bytes(native)
        for seed in range(60):
            rng = random.Random(f'{option} {seed}')
            mutate = rng.choice([bytes_of, json_of if option == 'joint_map' else text_of])
            damaged, what = mutate(rng, content)
            file.write_bytes(damaged)
            value = dict(train=file) if option == 'lists' else file
            _, items, error = read(reader, data, True, {option: value})
            check_items(items, reader.classes)
            assert error is None or str(tmp_path) in str(error), (option, seed, what)


# ------------------------------------------------------------------------------- time and memory
ZEROS = 2**26 + 1


def packed(name, declared=None, content=bytes(ZEROS)):
    """A zip file of a small member that unpacks to a lot, and may declare another size."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    data = bytearray(out.getvalue())
    if declared:
        for start, offset in ((b'PK\3\4', 22), (b'PK\1\2', 24)):
            struct.pack_into('<I', data, data.rindex(start) + offset, declared)
    return bytes(data)


def npz_header(*args):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as archive:
        archive.writestr('joints.npy', npy(*args))
    return out.getvalue()


def overlapping(name):
    """A zip file of 3000 members that are the same bytes."""
    content = packed(name, content=bytes(10**4))
    start, end = content.index(b'PK\1\2'), content.index(b'PK\5\6')
    size = 3000 * (end - start)
    return content[:start] + 3000 * content[start:end] + struct.pack(
        '<4s4H2LH', b'PK\5\6', 0, 0, 3000, 3000, size, start, 0)


_LONG = b'\x93NUMPY\2\0' + struct.pack('<I', ZEROS) + bytes(ZEROS)  # a header of 64 MiB
_PNG = stg_nf.png(np.zeros((1, 1), np.uint8))
# Sample, file (None: the zip file itself), and what is in it.
BOMBS = {
    'zip mat': ('penn_action', None, lambda: packed('labels/1.mat')),
    'zip json': ('nw_ucla', None, lambda: packed('a03_s01_e01_v03.json')),
    'zip bvh': ('bvh', None, lambda: packed('a.bvh')),
    'zip skeleton': ('ntu60_2d', None, lambda: packed('S001C001P001R001A001.skeleton')),
    'zip lies json': ('nw_ucla', None, lambda: packed('a03_s01_e01_v03.json', 1000)),
    'zip lies pkl': ('pyskl', None, lambda: packed('a.pkl', 1000)),
    'zip lies npz': ('joints_npz', None, lambda: packed('a.npz', 1000)),
    'zip overlaps': ('nw_ucla', None, lambda: overlapping('a03_s01_e01_v03.json')),
    'npz': ('joints_npz_z', 'smpl.npz', lambda: packed('joints.npy', 2**30)),
    'npz lies': ('joints_npz_z', 'smpl.npz', lambda: packed('joints.npy', 1000, _LONG)),
    'npz long header': ('tsu', 'P02T01C06_LCRNet2d.npz', lambda: packed('kpts.npy', None, _LONG)),
    'npz shape': ('joints_npz_z', 'smpl.npz', lambda: npz_header('(1000000000000, 24, 3)')),
    'npz no bytes': ('joints_npz_map', 'bandai.npz', lambda: npz_header('(9999999999,)', "'<U0'")),
    'npz empty': ('joints_npz_z', 'smpl.npz', lambda: npz_header('(9999999999, 0, 3)')),
    'json digits': ('alphapose', 'walk/alphapose-results.json', lambda: b'1' * 10**7),
    'json deep': ('mmpose', 'walk.json', lambda: b'[' * 10**7),
    'json many': ('tsu', 'smarthome_CS_51.json', lambda: b'{"a":' * 10**6),
    'mat large': ('penn_action', 'labels/0001.mat', lambda: penn_action.mat(
        dict(penn_action.penn_fields(), x=np.zeros(10**7 + 1, np.uint8)))),
    'mat cell': ('penn_action', 'labels/0001.mat', lambda: penn_action.mat(
        dict(penn_action.penn_fields(), x=np.array([np.zeros(10**6), 'a'], object)))),
    'pickle bytes': ('pyskl', 'ntu60_hrnet.pkl', lambda: b'\x80\4\x8e' + struct.pack('<Q', 2**40)),
    'pickle text': ('pyskl_3d', 'ntu60_3d.pkl', lambda: b'\x80\4\x8d' + struct.pack('<Q', 2**33)),
    'pickle array': ('pyskl', 'ntu60_hrnet.pkl', lambda: pickle.dumps(np.zeros(9, 'f2')).replace(
        b'K\t\x85', b'\x8a\5\0\0\0\0\1\x85')),
    'pickle empty': ('pyskl', 'ntu60_hrnet.pkl', lambda: pyskl.pyskl(
        [pyskl.annotation('a', img_shape=np.zeros((10**9, 0)))])),
    'skeleton frames': ('ntu60_3d', 'nturgb+d_skeletons/S001C001P001R001A001.skeleton',
                        lambda: b'999999999\n0\n'),
    'bvh frames': ('bvh', '01/01_01.bvh', lambda: mocap.bvh().replace(
        b'Frames: 5', b'Frames: 999999999')),
    'png': ('ubnormal_labels', next(f for f in SAMPLES['ubnormal_labels'][1] if 'png' in f),
            lambda: _PNG[:16] + struct.pack('>II', 60000, 60000) + _PNG[24:])}


def explode(pipe, reader, path, kwargs):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    _, _, error = read(reader, path, True, kwargs)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pipe.send((str(error), time.process_time() - start, (after - before) * 1024))


@pytest.mark.parametrize('name', sorted(BOMBS))
def test_bomb_is_refused_without_memory(name, tmp_path):
    """Refused before they take memory, in a process of its own that can be measured."""
    sample, file, content = BOMBS[name]
    reader, files, kwargs = SAMPLES[sample]
    files = {'a.zip': content()} if file is None else {**files, file: content()}
    for path, native in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(native)
    path = tmp_path / 'a.zip' if file is None else tmp_path
    fork = multiprocessing.get_context('fork')
    ours, theirs = fork.Pipe()
    process = fork.Process(target=explode, args=(theirs, reader, path, kwargs))
    process.start()
    assert ours.poll(60), 'nothing came back'
    error, seconds, memory = ours.recv()
    process.join()
    assert str(tmp_path) in error
    assert len(error) < 2000
    assert seconds < SECONDS
    assert memory < 2**28
