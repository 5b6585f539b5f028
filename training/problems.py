"""What can be wrong with a run, and why a training failed. It does not import torch."""

from enum import StrEnum, unique

from problems import Code, Problem

# The tag with the `Failure` of a failed run. The tag ``job.error`` has the sentence.
FAILURE = "job.failure"


@unique
class Failure(StrEnum):
    """Why a run failed, for whoever decides what to do about it."""

    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    NAN = "NAN"
    DATA = "DATA"
    DISK_FULL = "DISK_FULL"
    LOADER_DIED = "LOADER_DIED"
    PROCESS_DIED = "PROCESS_DIED"
    STORE = "STORE"
    SETTINGS = "SETTINGS"
    OTHER = "OTHER"


@unique
class FailedTraining(Code):
    """How an error of PyTorch or of the system during training reads."""

    OUT_OF_MEMORY = (
        "Out of memory: batches of {batch_size} do not fit on {device}; try {smaller}, {count} of them a "
        "step: {step}."
    )
    OUT_OF_MEMORY_WITH_ONE_IMAGE = (
        "Out of memory on {device}, even with single images; choose smaller images or another network."
    )
    DISK_FULL = "The disk is full: {file} cannot be written. Free some space and resume the run."
    PROCESS_DIED = "Another process of this run died; the log may contain the reason. Resume the run."
    RANK_DIED = "Worker died: the process of rank {rank} was killed ({signal}); see the log."
    RANK_EXITED = "Worker died: the process of rank {rank} ended with exit code {exit_code}; see the log."
    RANK_FAILED = "Rank {rank}: {reason}"
    LOADER_SHARED_MEMORY = (
        "The image loading process {pid} {ended}: the shared memory (/dev/shm) is full; use fewer workers or "
        "enlarge it, and resume the run."
    )
    LOADER_KILLED = (
        "The image loading process {pid} {ended}, often because the main memory is full; use fewer workers, "
        "and resume the run."
    )
    LOADER_DIED = "The image loading process {pid} {ended}; see the log, and resume the run."
    OTHER = "{kind}: {said}"


@unique
class Diverged(Code):
    """How training diverged."""

    WITH_CHECKPOINT = (
        "Training diverged: {what} at step {step}; the last good checkpoint is of step {saved_step}; try a "
        "learning rate below {learning_rate:g}."
    )
    WITHOUT_CHECKPOINT = (
        "Training diverged: {what} at step {step}; no checkpoint was saved before; try a learning rate below "
        "{learning_rate:g}."
    )


class TrainingDiverged(Problem):
    """The loss or the weights are no longer finite."""


@unique
class Stopped(Code):
    """When a training was stopped on request."""

    BEFORE_TRAINING = "Stopped on request before training began."
    BEFORE_FIRST_BATCH = "Stopped on request before the first batch."
    WHILE_WAITING = "Stopped on request while waiting for something, such as another of its processes."
    AT_STEP = "Stopped on request at step {step}; saved as {file}."
    IN_VALIDATION = "Stopped on request in the validation after step {step}."


class StopRequested(Problem):
    """A user asked this run to stop; its last checkpoint has its state."""


@unique
class InvalidSettings(Code):
    """Which setting of a run is invalid, or not possible on this machine."""

    NOT_PARSED = "{said}"
    MAX_EPOCHS = "max_epochs is {max_epochs}; it must be 1 or more."
    SEED = "The seed is {seed}; it must be from 0 to {largest}."
    NO_DEVICES = "devices is 0; it must be 1 or more, or 'auto' for all."
    TOO_FEW_GPUS = "{requested} GPUs are requested, but this machine has {available}."
    CHECKPOINT_INTERVAL = "checkpoint_interval_s is {checkpoint_interval_s:g}; it must be 0 or more."
    EMA_DECAY = "ema_decay is {ema_decay:g}; it must be above 0 and below 1, such as 0.9999."
    PROCESSES = (
        "{requested} processes are requested, but Slurm has started {started}; request fewer devices, or "
        "call srun with --nodes={nodes} --ntasks-per-node={devices}."
    )
    SYNC_BATCHNORM_ON_CPU = "sync_batchnorm needs GPUs, and this run is on a CPU; turn it off."
    NO_COMPILER = "compile needs {missing}, which this machine does not have; install it or turn compile off."


@unique
class UnusableGPU(Code):
    """Why the installed PyTorch cannot use a GPU."""

    NONE_FOUND = (
        "PyTorch {version} finds no GPU that it can use; train with accelerator cpu, or install a driver and "
        "a PyTorch that fit each other (see nvidia-smi and https://pytorch.org)."
    )
    NONE_FOUND_WITH_DRIVER = (
        "PyTorch {version} needs NVIDIA's driver {needed} or later and finds no GPU that it can use; train "
        "with accelerator cpu, or install a driver and a PyTorch that fit each other (see nvidia-smi and "
        "https://pytorch.org)."
    )
    BUILT_WITHOUT_CUDA = (
        "PyTorch {version} was built without CUDA and cannot use {gpu}; install one with CUDA."
    )
    OLD_DRIVER = (
        "PyTorch {version} was built for CUDA {cuda}, which needs NVIDIA's driver {needed} or later, and "
        "{gpu} has {driver}; update it or install an older PyTorch."
    )
    OLD_GPU = (
        "PyTorch {version} has kernels for compute capability {oldest} and later, and {gpu} has "
        "{capability}; install an older PyTorch or train with accelerator cpu."
    )


@unique
class NoStart(Code):
    """Why there are no weights to start from or to export."""

    UNNAMED = "Name the run or the checkpoint file whose weights to start from."
    NO_FILE = "There is no checkpoint {file}."
    NO_CHECKPOINT_YET = "{run} has saved no checkpoint yet; choose another run."


@unique
class NoExport(Code):
    """Why weights cannot be exported."""

    PUBLISHED = "{weights} is neither a run nor a checkpoint; torchvision already has its published weights."
    OTHER_OPTION = "{library}'s {name} is {network} with {option} {theirs}, not {ours}."
    FILE_EXISTS = "{file} already exists; name another file."
    NOT_WRITTEN = "{file} cannot be written: {said}."


@unique
class BadCheckpoint(Code):
    """What is wrong with the checkpoint of a run."""

    NOT_WRITTEN = (
        "The checkpoint {file} cannot be written ({said}); the previous one still exists. Free some space "
        "and resume the run."
    )
    HAS_CODE = "{file} is refused: it is damaged, or loading it would run code that is inside it."
    UNREADABLE = "{file} is not a readable checkpoint ({said})."
    DAMAGED = "{file} is damaged: its content is not what was written."
    NONE_LEFT = "There is no other checkpoint: the run starts from the beginning."
