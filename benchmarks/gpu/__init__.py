"""``python -m benchmarks gpu``: what only a machine with a CUDA GPU can tell, in under eight minutes.

Every part runs in a process of its own and reports row by row; ``results.json`` and ``results.md`` are
written anew after each, so that a run cut short still counts. Parts that are done in the output folder are
left out when the same command is given again.

    python -m benchmarks gpu --output gpu-results
    python -m benchmarks gpu --output gpu-results --parts speed cifar --seconds 300 --data /data/cifar10

It needs PyTorch, torchvision, Lightning, torchmetrics and MLflow with its tracking store; neither a browser
nor Streamlit. On a machine without a GPU each part runs in a small form or says that it needs one.
"""
