#!/usr/bin/env bash
# Rebuild the models of mofm/hub/zoo from data to files: about 3 CPU hours.
# Data, in this order: docs/sources_data_sets.md, configs/README.md#commands, projects/tmor/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

train() {  # CONFIG OPTIONS...: skipped if it is done
    [ -f "work_dirs/$1/zoo_done" ] || { mofm train "$1" --seed 0 --resume && touch "work_dirs/$1/zoo_done"; }
}
LICENSE='research only; NW-UCLA and Bandai-Namco: CC BY-NC 4.0'
publish() {  # NAME CONFIG DATA OPTIONS...: test the last checkpoint, replace the model
    local name=$1 config=$2 data=$3 checkpoint
    checkpoint=$(cat "work_dirs/$config/last_checkpoint")
    rm -rf "work_dirs/$config/zoo_test" "mofm/hub/zoo/$name"
    mofm test "$config" "$checkpoint" --work-dir "work_dirs/$config/zoo_test"
    mofm publish "${CONFIG:-$config}" "$checkpoint" --zoo "$name" --test-config "$config" --data "$data" \
        --license "${FREE:-cc-by-nc-4.0}" --data-license "$LICENSE" \
        --metrics "work_dirs/$config/zoo_test"/*/*.json "${@:4}"
}

for config in mofm/kmeans_v2_tiny mofm/pretrain_v2_tiny dt1_penn_v2_tiny dt1_everyday_tiny \
        dt4_utkinect_v2_tiny tmor/localize_utkinect_mofm_v2_tiny \
        mofm/kmeans_v2_auxiliary_classes_tiny mofm/pretrain_v2_auxiliary_classes_tiny dt2_penn_v2_tiny \
        mofm/kmeans_v2_synthetic_tiny mofm/pretrain_v2_synthetic_tiny \
        motionbert/pretrain_dstformer_tiny motionbert/pose3d_bandai_tiny; do
    train "$config"
done
corpus='Penn Action, NW-UCLA, Bandai-Namco'
publish mofm-tiny mofm/pretrain_v2_tiny "$corpus" --cfg-options model.contrast=None 'model.backbone.align.blocks=(2,4)'
publish mofm-tiny-penn dt1_penn_v2_tiny "$corpus; actions of Penn Action"
publish mofm-tiny-everyday dt1_everyday_tiny "$corpus; actions of Penn Action, NW-UCLA and UTKinect"
publish mofm-tiny-oneshot dt2_penn_v2_tiny "$corpus, without five actions of Penn Action"
publish mofm-tiny-anomaly dt4_utkinect_v2_tiny "$corpus; throw, push, pull and carry of UTKinect as abnormal"
publish mofm-tiny-localize tmor/localize_utkinect_mofm_v2_tiny "$corpus; actions of UTKinect"
FREE=apache-2.0 LICENSE='none needed: procedural motion of this package' \
    publish mofm-tiny-synthetic mofm/pretrain_v2_synthetic_tiny 'synthetic motion' \
    --cfg-options model.contrast=None 'model.backbone.align.blocks=(2,4)'
LICENSE='CC BY-NC 4.0' CONFIG=motionbert/lift_wild_tiny \
    publish motionbert-tiny-lift motionbert/pose3d_bandai_tiny 'Bandai-Namco (3D poses)'
mofm models
