"""The model `chasqui-demo`: its data generator, training, exports, evaluation and weights."""
