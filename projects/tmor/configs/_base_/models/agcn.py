# AGCN of mmaction2, the joint stream of 2s-AGCN, instead of UNIK: GCNBackbone with gcn=_base_.gcn.
gcn = dict(
    type='mmaction.AAGCN', in_channels=2, gcn_attention=False, graph_cfg=dict(mode='spatial'))
