"""Masked pre-training and classification."""

import pytest
import torch
import torch.nn.functional as F
from mmaction.structures import ActionDataSample

from mofm.registry import MODELS
from mofm.structures import ThermalCubes

TINY = dict(num_frames=8, canvas=24, patch=4)
BACKBONE = dict(type='MoFMBackbone', **TINY, embed_dims=32, depth=2, num_heads=4, max_tokens=40)
TOKENIZER = dict(type='DVEDTokenizer', **TINY, vocab_size=32, code_dim=16, hidden=16,
                 num_blocks=1, temporal_strides=(4, 2))


def pretrainer(**kwargs):
    torch.manual_seed(0)
    cfg = dict(type='MotionPretrainer', backbone=BACKBONE, tokenizer=TOKENIZER,
               head=dict(type='MaskedTokenHead', vocab_size=32, in_channels=32))
    return MODELS.build(dict(cfg, **kwargs))


def random_mask(cubes):
    return cubes.occupied() & (torch.rand(len(cubes), 36, generator=torch.manual_seed(3)) < 0.5)


def test_pretraining_loss_is_cross_entropy_at_masked_cubes(clips):
    model, cubes = pretrainer().eval(), clips()
    mask = random_mask(cubes)
    losses = model(cubes, mask, mode='loss')
    logits = model.head(model.backbone(cubes, mask).tokens)
    ids = model.tokenizer.encode(cubes)
    terms = [-logits[b, k].log_softmax(0)[ids[b, k]] for b, k in mask.nonzero()]
    assert losses['loss_mask'].item() == pytest.approx(torch.stack(terms).mean().item(), abs=1e-5)


ALIGNED = dict(BACKBONE, align=dict(parts=2), tokens='occupied')
CONTRAST = dict(type='ContrastHead', in_channels=17 * 2 * 32, hidden_channels=16,
                out_channels=8, queue_size=6)


def test_pretraining_of_segments_predicts_the_tokens_of_short_clips(clips):
    kmeans = dict(type='KMeansTokenizer', **TINY, segments=2, vocab_size=32)
    model, cubes = pretrainer(backbone=dict(BACKBONE, segments=2), tokenizer=kmeans), clips()
    torch.nn.init.uniform_(model.tokenizer.centers)
    short = MODELS.build(dict(kmeans, num_frames=4, segments=1))
    short.load_state_dict(model.tokenizer.state_dict())
    mask = cubes.cut(2).occupied().view(2, 72)
    samples = model.eval()(cubes, mask, [ActionDataSample() for _ in range(2)], mode='predict')
    late = ThermalCubes(cubes.keypoints[1:, :, :, 4:], short.grid)
    ids = short.encode(late)[0][mask[1, 36:]]
    assert len(ids.unique()) > 1
    assert torch.equal(samples[1].gt_tokens[-len(ids):], ids)
    heat = model.tokenizer.decode(model.tokenizer.encode(cubes))  # (B, F, H, W)
    torch.testing.assert_close(heat[1:, 4:], short.decode(short.encode(late)))
    sample = model.tokenizer.predict(cubes, [ActionDataSample() for _ in range(2)])[1]
    assert torch.equal(sample.tokens, model.tokenizer.encode(cubes)[1])
    assert torch.equal(sample.occupied[36:], late.occupied()[0])


def test_pretraining_of_other_segments_than_the_tokenizer_is_an_error():
    with pytest.raises(ValueError, match='in 1 segments in the tokenizer and .* in 2 in the back'):
        pretrainer(backbone=dict(BACKBONE, segments=2))


def test_pretraining_contrast_is_the_cross_entropy_of_the_own_view(clips):
    """By hand, with a queue of the last keys; the momentum encoder starts as a copy."""
    model, cubes = pretrainer(backbone=ALIGNED, contrast=CONTRAST), clips(6)
    mask = random_mask(cubes[:3])
    views = ThermalCubes(torch.stack([cubes.keypoints[:3], cubes.keypoints[3:]], 1).flatten(0, 1),
                         cubes.grid)
    first = model(views, mask, mode='loss')['loss_contrast']
    assert model.contrast.written == 3
    queue = model.contrast.queue[:3].clone()
    keys = F.normalize(model.contrast.project(model.backbone(cubes[3:]).pooled), dim=1)
    torch.testing.assert_close(queue, keys)
    second = model(views, mask, mode='loss')['loss_contrast']  # the queue is the same clips
    assert second > first
    query = F.normalize(model.contrast.predict(model.contrast.project(
        model.backbone(cubes[:3], mask).pooled)), dim=1)
    expected = F.cross_entropy(query @ torch.cat([keys, queue]).T / 0.2, torch.arange(3))
    assert second.item() == pytest.approx(0.3 * expected.item(), abs=1e-5)


def test_pretraining_momentum_encoder_follows_and_has_no_gradient(clips):
    model = pretrainer(backbone=ALIGNED, contrast=dict(CONTRAST, momentum=0.75))
    views, mask = clips(4), random_mask(clips(2))
    sum(v for k, v in model(views, mask, mode='loss').items() if 'loss' in k).backward()
    encoder, _ = model.contrast.momentum_encoder.module
    assert model.backbone.blocks[0].qkv.weight.grad.any()
    assert all(p.grad is None and not p.requires_grad for p in encoder.parameters())
    before = encoder.norm.weight.clone()
    torch.nn.init.constant_(model.backbone.norm.weight, 5.)
    model(views, mask, mode='loss')
    torch.testing.assert_close(encoder.norm.weight, 0.75 * before + 0.25 * 5)


def test_pretraining_contrast_without_two_views_names_the_transform(clips):
    model = pretrainer(backbone=ALIGNED, contrast=CONTRAST)
    with pytest.raises(ValueError, match='found 2 clips with 2 masks, expected two views'):
        model(clips(2), random_mask(clips(2)), mode='loss')


def test_pretraining_teacher_is_not_a_submodule():
    model = pretrainer()
    assert not any('codebook' in name or 'encoder' in name for name in model.state_dict())
    ours = {id(p) for p in model.parameters()}
    assert not any(id(p) in ours or p.requires_grad for p in model.tokenizer.parameters())
    assert not model.train().tokenizer.training
    model.double()
    assert model.tokenizer.codebook.weight.dtype == torch.float64  # follows the model


def test_pretraining_teacher_loads_without_init_weights(clips, tmp_path):
    """A Runner that only tests never calls init_weights."""
    path, cubes = tmp_path / 'teacher.pth', clips()
    torch.manual_seed(5)
    teacher = MODELS.build(TOKENIZER)
    torch.save(teacher.state_dict(), path)
    model = pretrainer(tokenizer=dict(
        TOKENIZER, init_cfg=dict(type='Pretrained', checkpoint=str(path))))
    mask = random_mask(cubes)
    samples = model(cubes, mask, [ActionDataSample() for _ in range(2)], mode='predict')
    assert torch.equal(samples[0].gt_tokens, teacher.encode(cubes)[0, mask[0]])


def test_pretraining_predicts_tokens_at_masked_cubes(clips):
    model, cubes = pretrainer(), clips()
    mask = random_mask(cubes)
    samples = model(cubes, mask, [ActionDataSample() for _ in range(2)], mode='predict')
    assert [len(s.pred_tokens) for s in samples] == mask.sum(1).tolist()
    assert torch.equal(samples[1].gt_tokens, model.tokenizer.encode(cubes)[1, mask[1]])


def test_pretraining_loss_of_empty_batch_is_zero():
    model = pretrainer()
    empty = ThermalCubes(torch.zeros(2, 1, 17, 8, 3), model.backbone.grid)
    losses = model(empty, torch.zeros(2, 36, dtype=torch.bool), mode='loss')
    losses['loss_mask'].backward()
    assert losses['loss_mask'] == 0


def test_pretraining_tensor_mode_gives_tokens_and_pooled(clips):
    model, cubes = pretrainer(), clips()
    tokens, pooled, *_ = model(cubes)
    assert tokens.shape == (2, 36, 32)
    assert pooled.shape == (2, 32)


def test_pretrainer_names_bad_settings(clips):
    head = dict(type='MaskedTokenHead', vocab_size=64, in_channels=32)
    with pytest.raises(ValueError, match='found 32 in the tokenizer and 64 in the head'):
        pretrainer(head=head)
    with pytest.raises(ValueError, match='cubes: found CubeGrid'):
        pretrainer(tokenizer=dict(TOKENIZER, canvas=48))
    with pytest.raises(ValueError, match='put KeypointMaskGenerator in the pipeline'):
        pretrainer()(clips(), mode='loss')
    mask = torch.zeros(3, 36, dtype=torch.bool)
    with pytest.raises(ValueError, match='6 clips with 3 masks.*TwoViews needs model.contrast'):
        pretrainer()(clips(6), mask, mode='loss')
    with pytest.raises(ValueError, match='3 clips with 3 masks.*add TwoViews to the pipeline'):
        pretrainer(backbone=ALIGNED, contrast=CONTRAST)(clips(3), mask, mode='loss')
    with pytest.raises(ValueError, match='expected init_cfg=.*of a trained tokenizer'):
        pretrainer().init_weights()
    missing = dict(TOKENIZER, init_cfg=dict(type='Pretrained', checkpoint='nowhere.pth'))
    with pytest.raises(FileNotFoundError, match='nowhere.pth: no such checkpoint; train it first'):
        pretrainer(tokenizer=missing).init_weights()


def recognizer(**kwargs):
    torch.manual_seed(0)
    head = dict(type='ActionClsHead', num_classes=3, in_channels=32, dropout=0.)
    model = MODELS.build(dict(type='MotionRecognizer', backbone=dict(BACKBONE, **kwargs),
                              cls_head=head))
    model.init_weights()
    return model


def labeled(*labels):
    return [ActionDataSample().set_gt_label(label) for label in labels]


def test_recognizer_learns_three_clips(clips):
    model, cubes = recognizer(), clips(6)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(40):
        losses = model(cubes, labeled(0, 1, 2, 0, 1, 2), mode='loss')
        optimizer.zero_grad()
        losses['loss_cls'].backward()
        optimizer.step()
    samples = model.eval()(cubes, labeled(0, 1, 2, 0, 1, 2), mode='predict')
    assert [int(s.pred_label) for s in samples] == [0, 1, 2, 0, 1, 2]
    assert samples[0].pred_score.sum().item() == pytest.approx(1)


def test_recognizer_averages_scores_of_clips(clips):
    model, cubes = recognizer().eval(), clips(4)
    one_each = model(cubes, labeled(0, 0, 0, 0), mode='predict')
    two_each = model(cubes, labeled(0, 0), mode='predict')
    expected = (one_each[2].pred_score + one_each[3].pred_score) / 2
    torch.testing.assert_close(two_each[1].pred_score, expected)


def test_linear_probe_trains_the_head_only(clips):
    model = recognizer(frozen=True)
    model(clips(), labeled(0, 1), mode='loss')['loss_cls'].backward()
    assert {n for n, p in model.named_parameters() if p.grad is not None} == {
        'cls_head.fc.weight', 'cls_head.fc.bias'}


def test_recognizer_names_label_out_of_range(clips):
    with pytest.raises(ValueError, match='label: found 0...3, expected 0...2; set num_classes'):
        recognizer()(clips(), labeled(0, 3), mode='loss')
