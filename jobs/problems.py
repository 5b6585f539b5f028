"""What can be wrong with a job, or with what is requested of it, and how the process of a job can end."""

from enum import unique

from problems import Code, Problem


@unique
class Launch(Code):
    """Why a job or a background process cannot be started or stopped."""

    NO_ACCELERATOR = (
        "The job requests the accelerator {accelerator}, which this machine does not have; it has "
        "{available}."
    )
    BAD_DEVICES = (
        "The number of devices is {devices!r}; it must be a whole number of at least 1, or 'auto' for all "
        "GPUs."
    )
    TOO_FEW_GPUS = "The job requests {devices} GPUs, but this machine has {available}; request fewer."
    GPU_PARTS = "The job requests {devices} GPUs, but parts of a GPU (MIG) cannot train together; request 1."
    DRIVER = (
        "The NVIDIA driver of this machine does not respond ({reason}), so jobs train on the CPU. In a "
        "container, set NVIDIA_DRIVER_CAPABILITIES=compute,utility; after an update of the driver, restart "
        "the machine."
    )
    NO_ENGINE = "There is no engine {engine!r}; the engines are {engines}."
    NO_PROCESS = "The training process could not be started: {reason}."
    NO_COMMAND = "The command could not be started: {reason}."
    MLFLOW_UI = "The MLflow UI did not start; see {log}."
    SUPERVISOR = "The supervisor did not start; see {log}."
    SUPERVISOR_RUNS = "Another supervisor is already running for {root}."
    SUPERVISOR_STAYS = "The supervisor (process {pid}) did not stop."
    JOBS_STAY = "{number} jobs did not stop: {names}."
    DELIVERY_RUNS = "Another process is already uploading what is pending in {root}."
    UNSUITABLE = "{reasons} To queue the jobs anyway, add --anyway."
    CHECK_FAILED = "Some checks failed; see the lines marked NO."


@unique
class TrialProblem(Code):
    """Why a trial did not take place, or failed."""

    NO_DEVICE = "This machine has no {accelerator} device to run the trial on."
    DEVICE_IN_USE = (
        "{slot} is in use by {run}, which would distort the measurement. Wait for the run, stop it, or queue "
        "the jobs without a trial."
    )
    TRIAL_RUNS = (
        "Another trial is running, and the two would distort each other's measurements. Try again when it "
        "has finished."
    )
    TOO_SLOW = "The trial took more than {limit_s:.0f} s; use smaller batches or images."
    OUT_OF_MEMORY = "There is not enough memory for one step; use smaller batches."
    FAILED = "The trial failed: {reason}"


class LaunchError(Problem):
    """A job or a background process cannot be started or stopped."""

    @classmethod
    def of(cls, error: Exception) -> "LaunchError":
        """Return an error of another package as the reason why a job cannot be started."""
        known = error if isinstance(error, Problem) else Problem(str(error))
        return cls(known.code or str(known), **known.values)


@unique
class Refused(Code):
    """Why a run, or a command on data, cannot be changed as requested."""

    HAS_ENDED = "{name} has already ended ({status})."
    ELSEWHERE = "{name} belongs to {home}, where its checkpoints are."
    NOT_RESUMABLE = "{name} is {status}; only a run that failed or was stopped can be resumed."
    NO_CHECKPOINT = "{name} has no checkpoint to resume from; clone it to train it from scratch."
    NOT_DELETABLE = "{name} is {status}; stop it before you delete it."
    NOT_RETRYABLE = "{name} is {status}; only a run that has ended can be retried."
    BATCH_SIZE = (
        "With batches of {batch_size}, the number of images per step would change; use a batch size of "
        "{choices}."
    )
    NO_SMALLER_BATCH = "With batches of one image, there is no smaller batch size to retry the run with."
    IS_STARTING = "{name} is already starting; only waiting runs have a place in the queue."
    NOT_WAITING = "{name} is {status}; only waiting runs have a place in the queue."
    PRIORITY = "The priority is {priority}; it must be between {lowest} and {highest}."
    DIRECTION = "{direction!r} is not a direction; the directions are {directions}."
    WAITS_FOR_ITSELF = "{name} would wait for itself; choose a run that does not wait for it."


@unique
class BadValue(Code):
    """What is wrong with a setting, an option, a file of settings or a variable of the environment."""

    NOT_OF_KIND = "{text!r} is not {wanted}."
    REPEATED = "{value} is given more than once; give it once."
    OPTION = "The option {option!r} must have the form ARCHITECTURE.NAME=VALUE."
    CONFIG_AND_ARCHITECTURES = "Give either --config or architectures, but not both."
    NOT_YAML = "{file} cannot be read as YAML: {reason}."
    NOT_A_CONFIG = "{file} is not the configuration of a run; it must have the keys trainer, model and data."
    TOO_SMALL = "{name} is {value}; it must be at least 1."
    NOTHING_TO_TRAIN = "Name at least one {what} to train."
    LEARNING_RATE = "A learning rate is {value:g}; it must be greater than 0."
    OPTIONS_OF_ANOTHER = (
        "There are options for {architecture!r}, which is not among the architectures to train."
    )
    CLUSTER_NUMBER = "{name} is {value!r}; it must be a whole number of at least {lowest}."
    TIME_LIMIT = "The time is {time!r}; write minutes, HH:MM:SS or DAYS-HH:MM:SS, such as 1-12:00:00."
    TIME_UNQUOTED = "The time is {time}, because YAML reads HH:MM:SS as a number; put it in quotes."
    SBATCH_OPTION = (
        "{name!r} cannot be one of the additional options; use the long name of an sbatch option that has no "
        "setting of its own, such as constraint."
    )
    NOT_ONE_WORD = "{name} is {value!r}; it must be one word without spaces and quotes."
    NO_GPUS_PER_NODE = "Set the number of GPUs per node (gpus_per_node); on a cluster, auto is not possible."
    SLURM_KEYS = "The slurm section has the unknown part {unknown}; it can have {known}."
    NAME_VALUE = "{word!r} must have the form NAME=VALUE, such as constraint=a100."
    AUTO_RESUMES = "{name} is {value!r}; it must be a whole number of at least 0."
    NOTIFY_KEYS = "{file} must have the keys webhook, command or both, and no others."
    NOTIFY_WORDS = "{name} cannot be split into words: {reason}."
    WEBHOOK = "The webhook must be an address that begins with http:// or https://."
    NOTIFY_COMMAND = "The notification command must be a list of words, such as [notify-send, convnet-arena]."


@unique
class NotNotified(Code):
    """Why a notification failed."""

    WEBHOOK = "The webhook at {host} could not be notified: {reason}."
    COMMAND = "The notification command {program} failed: {reason}."


@unique
class Place(Code):
    """Why data cannot be read from a place."""

    NOT_NAMED = "Name a folder on the machine that trains."
    NOT_ABSOLUTE = "{place!r} is not an absolute path; begin with / or ~."
    UNRESOLVABLE = (
        "{place} cannot be resolved: there is no such home folder, or a symbolic link points to itself."
    )
    NOT_ALLOWED = (
        "{place} is not in a place that data may be read from ({allowed}); set {variable} before you start "
        "the dashboard to allow others."
    )
    NO_FOLDER = "There is no folder {place}."


@unique
class Ending(Code):
    """How the process of a job ended, where it did not record that itself."""

    RESTART = "The machine was restarted during training; see the log."
    SHUTDOWN = "The machine was shut down during training."
    OUT_OF_MEMORY = (
        "The kernel killed the training process because the main memory was full; use smaller batches or "
        "fewer workers."
    )
    UNSEEN = "The training process disappeared (it was killed, or its machine failed); see the log."
    SIGNAL = "The training process was killed by {signal}; see the log."
    NO_RESULT = "The training process ended with exit code 0 but recorded no result; see the log."
    EXIT_CODE = (
        "The training process ended with exit code {exit_code} without recording a reason; see the log."
    )
    LAST_LINE = (
        "The training process ended with exit code {exit_code} without recording a reason; its last output: "
        "{line}"
    )
    RECORDED = "{reason}"
    NO_PROGRESS = "{reason} Automatic resumes without a new checkpoint: {times}; resume the run manually."
    INCOMPLETE = "The program that submitted this run ended before the run was complete; submit it again."


@unique
class DataJobEnding(Code):
    """How a command on data ended, where it did not record that itself."""

    STOPPED = "Stopped; start the same command again to continue."
    UNSEEN = (
        "Its process disappeared (it was killed, or the machine was restarted); start the same command again "
        "to continue."
    )


@unique
class Cluster(Code):
    """Why a cluster cannot be used, or does not accept a job."""

    NO_SLURM = "There is no Slurm (sbatch) on this machine; train on the machine itself."
    REJECTED = "Slurm rejected the job: {said}."
    NOT_INSTALLED = "{command} is not installed on this machine."
    NO_ANSWER = "{command} took more than {limit_s:.0f} s."
    FAILED = "{said}"
    NO_STEPS = "The time limit was reached before a single step was trained; request more time and resume."
    NOT_REQUEUED = "The cluster takes back its nodes and does not requeue the job ({reason}); resume the run."


@unique
class ClusterEnding(Code):
    """How Slurm ended a job."""

    FORGOTTEN = "The cluster no longer knows job {job_id}: it was cancelled there, or ended long ago."
    BOOT_FAIL = "The nodes of cluster job {job_id} did not start; resume the run to use other nodes."
    CANCELLED = "Cluster job {job_id} was cancelled on the cluster (scancel)."
    DEADLINE = "Cluster job {job_id} could not end before its deadline."
    NODE_FAIL = "A node of cluster job {job_id} failed ({nodes}); resume the run to continue on other nodes."
    OUT_OF_MEMORY = (
        "Cluster job {job_id} used more memory than it had requested; request more (mem among the further "
        "options) or use smaller batches."
    )
    PREEMPTED = (
        "The cluster gave the nodes of job {job_id} to another job and did not requeue it; resume the run to "
        "continue from its checkpoint."
    )
    REVOKED = "Cluster job {job_id} was moved to another cluster."
    TIMEOUT = (
        "Cluster job {job_id} reached its time limit before it had saved a checkpoint and exited; resume the "
        "run to continue from its last checkpoint."
    )
