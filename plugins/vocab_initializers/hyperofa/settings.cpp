#include "settings.h"

namespace xp::hyperofa {

void Settings::describe(Fields<Settings>& f) {
  f.add(&Settings::network, "network",
        "What reads a token's words: an LSTM in both directions as published, self-attention over the set "
        "(SetFormer), a mean of words that each went through layers (deep sets), or a linear map of the mean word, "
        "solved exactly: the control.",
        {{"bilstm", Network::bilstm},
         {"setformer", Network::setformer},
         {"deep_sets", Network::deep_sets},
         {"ridge", Network::ridge}});
  f.add(&Settings::rank, "rank", "Width of the coordinates that are predicted; 0: whole rows.").min(0);
  f.add(&Settings::layers, "layers", "Layers of the network; published: 2 for RoBERTa, 4 for XLM-R.").min(1);
  f.add(&Settings::width, "width",
        "Width of a layer, of a direction of the LSTM; published: 800, or 1600 for rank 400.")
      .min(1);
  f.add(&Settings::max_words, "max_words", "Words of a token that are read, drawn anew in every epoch.").min(1);
  f.add(&Settings::batch, "batch", "Tokens of a step.").min(1);
  f.add(&Settings::epochs, "epochs",
        "Passes over the old tokens; published: 370 to 470 for RoBERTa, 80 to 230 for XLM-R.")
      .min(1);
  f.add(&Settings::dropout, "dropout", "Share of states that are set to zero while the network learns.")
      .min(0)
      .max(0.99);
  f.add(&Settings::lr, "lr", "Learning rate of Adam, times 0.95 after every ten epochs.").above(0);
  f.add(&Settings::contrast, "contrast",
        "Weight of telling a batch's rows apart by cosine; the rest is that of the absolute error over the mean "
        "absolute value.")
      .min(0)
      .max(1);
  f.add(&Settings::temperature, "temperature", "Divides cosines in that part; published: 0.5 for RoBERTa.").above(0);
  f.add(
       &Settings::validation, "validation",
       "Share of old tokens that teach nothing: the network is kept as it was after the epoch that did best on them.")
      .min(0)
      .max(0.5);
  f.add(&Settings::augment, "augment",
        "How often a half or more of a token's words stand for all of them, where it has five or more.")
      .min(0)
      .max(1);
  f.add(&Settings::penalty, "penalty", "With ridge: on the squared map, times the words' mean variance.").above(0);
  f.add(&Settings::shuffle_vectors, "shuffle_vectors",
        "Negative control: word vectors change places, so that nearness means nothing.");
  f.add(&Settings::fallback, "fallback", "Tokens that no word covers.", fallback_names());
  f.add(&Settings::match, "match", "Tokens that are copied where both vocabularies have them; none: as `copy` says.",
        token_match_names());
  f.add(&Settings::scale, "scale",
        "Where singular values go: all into the primitives as published, or their roots to both sides.",
        factor_scale_names());
  f.needs("artifact", "vectors");
}

}  // namespace xp::hyperofa
