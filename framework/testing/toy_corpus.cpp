#include "testing/toy_corpus.h"

#include "base/digest.h"

namespace xp::testing {

void ToyCorpus::for_each(const std::function<void(const Document&)>& visit) const {
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    Document document;
    document.id = std::to_string(i), document.text = texts_[i];
    document.language = "und", document.split = "train";
    visit(document);
  }
}

std::string ToyCorpus::fingerprint() const {
  Digest digest;
  for (const auto& text : texts_) digest.add(text);
  return digest.hex();
}

}  // namespace xp::testing
