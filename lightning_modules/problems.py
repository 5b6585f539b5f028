"""What can be wrong with the choice of a network and with the weights that it starts from."""

from enum import unique

from problems import Code


@unique
class InvalidChoice(Code):
    """Why a network cannot be built, measured or trained as requested."""

    NO_NETWORK = "There is no network {key!r}; choose one of: {allowed}."
    SIMILAR_NETWORK = "There is no network {key!r}; did you mean {similar}?"
    NO_RECIPE = "{network} has no recipe {recipe!r}; choose one of: {allowed}."
    NO_OPTION = "{network} has no option {option!r}; its options: {allowed}."
    NO_OPTION_VALUE = "The option {option} of {network} cannot be {value!r}; choose one of: {allowed}."
    NOT_NAME_AND_VALUE = "The argument of --option must be NAME=VALUE, not {text!r}."
    IMAGE_TOO_SMALL = "image_size is {image_size}, too small for {network}; the smallest is {smallest}."
    NUM_CLASSES = "num_classes is {num_classes}; a classifier needs 2 or more."
    LEARNING_RATE = "learning_rate is {learning_rate}; it must be above 0."
    BATCH_SIZE = "batch_size is {batch_size}; it must be 1 or more."
    PRECISION = "There is no precision {precision!r}; choose one of: {allowed}."


@unique
class UnusableWeights(Code):
    """Why weights cannot be loaded or exported."""

    NO_FILE = "There is no checkpoint {file}."
    INCOMPLETE = "{file} is not a checkpoint, or only the beginning of one."
    HAS_CODE = "{file} is refused: it is damaged, or loading it would run code that is inside it."
    NOT_A_CHECKPOINT = "{file} is not a checkpoint ({said})."
    NAMES_NO_NETWORK = "{file} is not a checkpoint of this program: it does not name its network."
    OTHER_NETWORK = "{file} holds {theirs}, not {ours}."
    OTHER_OPTION = "{file} holds {network} with {option} {theirs}, not {ours}; choose the same option."
    OTHER_LAYER = (
        "The weights do not fit {network}: its layer {our_layer} has {ours}, and their layer {their_layer} "
        "has {theirs}."
    )
    OTHER_DEPTH = "The weights do not fit {network}: it has {ours} layers, and they have {theirs}."
    NOT_PUBLISHED = "The library torchvision publishes no weights for {network}."
    NO_SUCH_NAME = "There are no published weights {name!r} for {network}; choose one of: {allowed}."
    PUBLISHED_FOR_OPTION = (
        "The published weights of {network} are for {option} {theirs}, not {ours}; choose that option or "
        "other weights."
    )
    CACHED_FILE_DIFFERS = (
        "{file} is not the file that torchvision publishes, because its hash differs; delete it."
    )
    NOT_DOWNLOADED = (
        "The published weights of {network} could not be downloaded from {host} ({said}); put {name} into "
        "{folder}, or choose other weights."
    )
    DAMAGED_DOWNLOAD = (
        "The published weights of {network} are damaged: their hash is not the published one. Try again."
    )
    NO_COUNTERPART = "No other library is known to have the same network as {network}."
    NOT_INSTALLED = "The library {library} is not installed; run `pip install {library}` first."
    CANNOT_HOLD = "These weights do not fit {library}'s {name}: {reason}"


@unique
class NewLayer(Code):
    """Why a layer does not get its weights from the given ones and keeps its initialisation."""

    OTHER_CLASSES = "{layer} has {theirs} classes in the weights and {ours} in the network."
    OTHER_IMAGE_SIZE = (
        "{layer} is for another image size: it has {theirs} inputs in the weights and {ours} in the network."
    )
    UNTRAINED = "{layer} is not in the weights."
