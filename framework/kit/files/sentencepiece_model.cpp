#include "kit/files/sentencepiece_model.h"

#include <cmath>
#include <cstring>
#include <unordered_set>

#include "base/error.h"
#include "base/text.h"
#include "kit/files/mapped_file.h"

namespace xp {
namespace {

// Fields by number, as sentencepiece_model.proto has them.
namespace field {
enum Model : std::uint32_t { pieces = 1, trainer = 2, normalizer = 3 };
enum Piece : std::uint32_t { text = 1, score = 2, type = 3 };
enum Trainer : std::uint32_t {
  model_type = 3,
  whitespace_as_suffix = 24,
  byte_fallback = 35,
  unk_id = 40,
  bos_id = 41,
  eos_id = 42,
  pad_id = 43
};
enum Normalizer : std::uint32_t { charsmap = 2, dummy_prefix = 3, remove_extra = 4, escape = 5 };
}  // namespace field

enum class Wire { varint, eight_bytes, bytes, four_bytes };

struct Field {
  std::uint32_t number = 0;
  Wire wire = Wire::varint;
  std::uint64_t value = 0;  // of a varint; bits of the others
  std::string_view bytes;
};

/// The fields of one message, one after the other.
class Message {
 public:
  Message(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  [[noreturn]] void refuse(const std::string& what) const { throw Error(where_ + ": " + what, Exit::data); }

  bool next(Field& found) {
    if (at_ == bytes_.size()) return false;
    const auto key = varint();
    const auto number = key >> 3;
    if (number == 0 || number > 0x1FFFFFFF) refuse("a field has the number " + std::to_string(number));
    found = {};
    found.number = static_cast<std::uint32_t>(number);
    switch (key & 7) {
      case 0:
        found.wire = Wire::varint;
        found.value = varint();
        break;
      case 1:
        found.wire = Wire::eight_bytes;
        take(8);
        break;
      case 2:
        found.wire = Wire::bytes;
        found.bytes = take(varint());
        break;
      case 5: {
        found.wire = Wire::four_bytes;
        std::uint32_t bits = 0;
        std::memcpy(&bits, take(4).data(), 4);
        found.value = bits;
        break;
      }
      default: refuse("field " + std::to_string(number) + " has the wire type " + std::to_string(key & 7));
    }
    return true;
  }

  void expect(const Field& field, Wire wire, const char* name) const {
    if (field.wire != wire)
      refuse("its " + std::string(name) + " has the wire type " + std::to_string(static_cast<int>(field.wire)));
  }
  bool flag(const Field& field, const char* name) const {
    expect(field, Wire::varint, name);
    return field.value != 0;
  }
  std::int32_t number(const Field& field, const char* name) const {
    expect(field, Wire::varint, name);
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(field.value));
  }

 private:
  std::string_view take(std::uint64_t size) {
    if (size > bytes_.size() - at_)
      refuse("a field needs " + std::to_string(size) + " bytes where " + std::to_string(bytes_.size() - at_) +
             " are left");
    const auto found = bytes_.substr(at_, size);
    at_ += size;
    return found;
  }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    refuse("a number has more than ten bytes");
  }

  std::string_view bytes_;
  const std::string& where_;
  std::size_t at_ = 0;
};

SentencePieceModel::Piece read_piece(std::string_view bytes, const std::string& where, std::size_t id) {
  SentencePieceModel::Piece piece;
  Message message(bytes, where);
  for (Field found; message.next(found);) {
    if (found.number == field::text) {
      message.expect(found, Wire::bytes, "piece");
      piece.text = std::string(found.bytes);
    } else if (found.number == field::score) {
      message.expect(found, Wire::four_bytes, "score");
      const auto bits = static_cast<std::uint32_t>(found.value);
      std::memcpy(&piece.score, &bits, 4);
    } else if (found.number == field::type) {
      message.expect(found, Wire::varint, "type of a piece");
      if (found.value < 1 || found.value > 6)
        message.refuse("its piece " + std::to_string(id) + " has the type " + std::to_string(found.value) +
                       "; types are 1 to 6");
      piece.type = static_cast<PieceType>(found.value);
    }
  }
  if (piece.text.empty() || !is_utf8(piece.text))
    message.refuse("its piece " + std::to_string(id) + " is empty or not UTF-8");
  if (!std::isfinite(piece.score)) message.refuse("the score of its piece " + std::to_string(id) + " is no number");
  return piece;
}

void read_trainer(std::string_view bytes, const std::string& where, SentencePieceModel& model) {
  Message message(bytes, where);
  for (Field found; message.next(found);) switch (found.number) {
      case field::model_type: {
        const auto kind = message.number(found, "model_type");
        if (kind < 1 || kind > 4) message.refuse("its model_type is " + std::to_string(kind) + "; types are 1 to 4");
        model.kind = static_cast<SentencePieceModel::Kind>(kind);
        break;
      }
      case field::whitespace_as_suffix:
        model.whitespace_as_suffix = message.flag(found, "treat_whitespace_as_suffix");
        break;
      case field::byte_fallback: model.byte_fallback = message.flag(found, "byte_fallback"); break;
      case field::unk_id: model.unk = message.number(found, "unk_id"); break;
      case field::bos_id: model.bos = message.number(found, "bos_id"); break;
      case field::eos_id: model.eos = message.number(found, "eos_id"); break;
      case field::pad_id: model.pad = message.number(found, "pad_id"); break;
      default: break;
    }
}

void read_normalizer(std::string_view bytes, const std::string& where, SentencePieceModel& model) {
  Message message(bytes, where);
  for (Field found; message.next(found);) switch (found.number) {
      case field::charsmap:
        message.expect(found, Wire::bytes, "precompiled_charsmap");
        model.charsmap = std::string(found.bytes);
        break;
      case field::dummy_prefix: model.dummy_prefix = message.flag(found, "add_dummy_prefix"); break;
      case field::remove_extra:
        model.remove_extra_whitespaces = message.flag(found, "remove_extra_whitespaces");
        break;
      case field::escape: model.escape_whitespaces = message.flag(found, "escape_whitespaces"); break;
      default: break;
    }
}

void check_pieces(const SentencePieceModel& model, const Message& message) {
  if (model.pieces.empty()) message.refuse("it has no piece");
  std::unordered_set<std::string_view> texts(model.pieces.size());
  std::size_t unknown = 0;
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    const auto& piece = model.pieces[id];
    if (!texts.insert(piece.text).second)
      message.refuse("its piece " + std::to_string(id) + ", " + backquoted(printable(piece.text.substr(0, 200))) +
                     ", is there twice");
    if (piece.type != PieceType::unknown) continue;
    ++unknown;
    if (static_cast<std::int64_t>(id) != model.unk)
      message.refuse("its unknown piece is " + std::to_string(id) + " and its unk_id " + std::to_string(model.unk));
  }
  if (unknown != 1) message.refuse("it has " + count(unknown, "unknown piece") + " instead of 1");
  for (const auto& [name, id] : {std::pair("bos_id", model.bos), {"eos_id", model.eos}, {"pad_id", model.pad}})
    if (id >= 0 && static_cast<std::size_t>(id) >= model.pieces.size())
      message.refuse("its " + std::string(name) + " is " + std::to_string(id) + " of " +
                     count(model.pieces.size(), "piece"));
}

}  // namespace

SentencePieceModel read_sentencepiece(const std::filesystem::path& file) {
  const MappedFile map(file);
  const auto where = file.string() + " is not a readable SentencePiece model";
  SentencePieceModel model;
  Message message(map.text(), where);
  for (Field found; message.next(found);) {
    if (found.number == field::pieces) {
      message.expect(found, Wire::bytes, "piece");
      model.pieces.push_back(read_piece(found.bytes, where, model.pieces.size()));
    } else if (found.number == field::trainer) {
      message.expect(found, Wire::bytes, "trainer_spec");
      read_trainer(found.bytes, where, model);
    } else if (found.number == field::normalizer) {
      message.expect(found, Wire::bytes, "normalizer_spec");
      read_normalizer(found.bytes, where, model);
    }
  }
  check_pieces(model, message);
  return model;
}

}  // namespace xp
