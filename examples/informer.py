# An experiment: python run.py --config examples/informer.py --tag run_0000. It is parsed, never executed.
import torch.nn as nn
import torch.optim as optim

seed = 42
data = {"csv": "data/ett/ETTh1.csv", "target": "OT", "features": "S", "seq_len": 96, "label_len": 24, "pred_len": 24}
model = {"d_model": 32, "n_heads": 4, "e_layers": 1, "d_layers": 1, "d_ff": 64, "dropout": 0.1, "revin": True}
training = {
    "optimizer_class": optim.AdamW,
    "optimizer_params": {"lr": 0.001, "weight_decay": 0.01},
    "criterion_class": nn.MSELoss,
    "scheduler_class": optim.lr_scheduler.CosineAnnealingLR,
    "scheduler_params": {"T_max": 2},
    "max_epochs": 2,
    "patience": 2,
}
