"""What follows from shapes alone, put together: counts, decoder storage and live tensors."""

from harness.config.run_spec import Precision
from harness.profiling.flops import count, decoder_storage
from harness.profiling.live_memory import live_inference, live_training
from harness.profiling.workload import Build
from harness.records.measurement import INFERENCE_BATCH, TRAINING_BATCH, Optimizer
from harness.records.measurement_values import DecoderStorage, Shapes


def shapes(
    build: Build, size: tuple[int, int], num_classes: int, precision: Precision, optimizer: Optimizer = "sgd"
) -> Shapes:
    """All of it, without running the network: it takes some seconds and next to no memory.

    Args:
        build: makes the network.
        size: height and width of the images.
        num_classes: K.
        precision: of the live tensors; counts are alike in all.
        optimizer: of the training step.
    """
    counts = count(build, size)
    kept = decoder_storage(build, size)
    return Shapes(
        parameters=counts.parameters,
        trainable_parameters=counts.trainable,
        model_size_mb=counts.model_size_mb,
        gmacs=counts.gmacs,
        training_gmacs=counts.training_gmacs,
        gmacs_not_counted=counts.not_counted,
        decoder_storage=DecoderStorage(
            int64_bytes=kept["int64"], uint8_bytes=kept["uint8"], two_bit_bytes=kept["2bit"]
        ),
        inference_live=live_inference(build, batch=INFERENCE_BATCH, size=size, precision=precision),
        training_live=live_training(
            build,
            batch=TRAINING_BATCH,
            size=size,
            label_size=counts.logits_size,
            num_classes=num_classes,
            precision=precision,
            optimizer=optimizer,
        ),
    )
