# ST-GCN of mmaction2 instead of UNIK: GCNBackbone with gcn=_base_.gcn.
gcn = dict(type='mmaction.STGCN', in_channels=2, graph_cfg=dict(mode='stgcn_spatial'))
