"""scikit-learn: MLPClassifier on f32 arrays; one call of partial_fit is one shuffled epoch in batches."""

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier

import peer


def main():
    opts = peer.options()
    x, y = peer.training_data(opts)
    model = MLPClassifier(hidden_layer_sizes=opts.layers[1:-1], activation="relu", solver="adam", alpha=0.0,
                          batch_size=opts.batch, learning_rate_init=1e-3, shuffle=True, random_state=0)

    def epoch():
        model.partial_fit(x, y, classes=np.arange(opts.layers[-1]))
        return len(x), model.loss_

    peer.serve(epoch, version=f"scikit-learn {sklearn.__version__}", device="cpu")


main()
