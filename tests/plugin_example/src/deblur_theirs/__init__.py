"""A backbone, a flow estimator, an objective and a data set for jdrl_lightning."""
