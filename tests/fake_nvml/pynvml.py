"""Stands in for NVIDIA's pynvml on a machine without its driver: tells of the GPUs that NVML_GPUS describes.

NVML_GPUS is JSON: a list of GPUs, each with `uuid`, `name` and, where it tells of them, `total` and `used`
(bytes), `capability`, `busy`, `temperature`, `parts` (its MIG devices, in the same way) or `lost`; or a
string, which is what the library says when it cannot be used.
"""

import json
import os
from types import SimpleNamespace

NVML_TEMPERATURE_GPU = 0
NVML_DEVICE_MIG_ENABLE = 1


class NVMLError(Exception):
    pass


def _gpus():
    return json.loads(os.environ["NVML_GPUS"])


def nvmlInit():
    if isinstance(_gpus(), str):
        raise NVMLError(_gpus())


def nvmlSystemGetDriverVersion():
    return os.environ.get("NVML_DRIVER", "580.95.05")


def nvmlDeviceGetCount():
    return len(_gpus())


def nvmlDeviceGetHandleByIndex(index):
    gpu = _gpus()[index]
    if gpu.get("lost"):
        raise NVMLError("GPU is lost")
    return gpu


def nvmlDeviceGetHandleByUUID(uuid):
    for gpu in _gpus():
        for one in (gpu, *gpu.get("parts", ())):
            if one["uuid"] == uuid:
                return one
    raise NVMLError("Not Found")


def _told(gpu, name):
    if gpu.get(name) is None:
        raise NVMLError("Not Supported")
    return gpu[name]


def nvmlDeviceGetUUID(gpu):
    return gpu["uuid"]


def nvmlDeviceGetName(gpu):
    return _told(gpu, "name").encode()  # as older versions answer


def nvmlDeviceGetMemoryInfo(gpu):
    total = _told(gpu, "total")
    return SimpleNamespace(total=total, used=gpu.get("used", 0), free=total - gpu.get("used", 0))


def nvmlDeviceGetCudaComputeCapability(gpu):
    return _told(gpu, "capability")


def nvmlDeviceGetUtilizationRates(gpu):
    return SimpleNamespace(gpu=_told(gpu, "busy"))


def nvmlDeviceGetTemperature(gpu, sensor):
    return _told(gpu, "temperature")


def nvmlDeviceGetMigMode(gpu):
    return [int("parts" in gpu), 0]


def nvmlDeviceGetMaxMigDeviceCount(gpu):
    return 7


def nvmlDeviceGetMigDeviceHandleByIndex(gpu, number):
    if number >= len(gpu["parts"]):
        raise NVMLError("Not Found")
    return gpu["parts"][number]
