"""The losses that a protocol can name: a module each, called as it, with a `LOSS`;
those of segmentation_models.pytorch are in `smp_losses`.

A loss is offered at planning already, so that none of these modules imports torch when it is imported itself.
"""
