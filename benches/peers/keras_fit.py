"""Keras: model.fit on arrays in memory, an epoch a call. Variant: the back end."""

import os

import peer

opts = peer.options()
os.environ["KERAS_BACKEND"] = opts.variant
import keras  # noqa: E402  (reads the back end's name when it is loaded)


def main():
    keras.utils.set_random_seed(0)
    x, y = peer.training_data(opts)
    hidden = [keras.layers.Dense(width, activation="relu") for width in opts.layers[1:-1]]
    model = keras.Sequential([keras.Input((opts.layers[0],)), *hidden, keras.layers.Dense(opts.layers[-1])])
    model.compile(optimizer=keras.optimizers.Adam(1e-3, epsilon=1e-8), jit_compile="auto",
                  loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def epoch():
        history = model.fit(x, y, batch_size=opts.batch, epochs=1, shuffle=True, verbose=0)
        return len(x), history.history["loss"][0]

    peer.serve(epoch, version=f"Keras {keras.__version__}", device=keras.backend.backend())


main()
