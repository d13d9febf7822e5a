#include "page.h"

#include <libxml/HTMLparser.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <new>

#include "base/error.h"
#include "base/text.h"

namespace xp::html {
namespace {

/// libxml2 stops at 256 open elements and leaves out the rest, so a page that comes near is refused.
constexpr int kMostDepth = 250;

struct Freed {
  void operator()(htmlParserCtxt* context) const { htmlFreeParserCtxt(context); }
  void operator()(xmlDoc* document) const { xmlFreeDoc(document); }
};

std::string_view name_of(const xmlNode* node) {
  return node->type == XML_ELEMENT_NODE ? reinterpret_cast<const char*>(node->name) : std::string_view();
}

std::string attribute(const xmlNode* node, const char* name) {
  for (const auto* one = node->type == XML_ELEMENT_NODE ? node->properties : nullptr; one; one = one->next) {
    if (std::string_view(reinterpret_cast<const char*>(one->name)) != name) continue;
    std::string out;
    for (const auto* part = one->children; part; part = part->next)
      if (part->content) out += reinterpret_cast<const char*>(part->content);
    return out;
  }
  return {};
}

/// The text of a node and all below it.
void gather(const xmlNode* node, std::string& out) {
  const auto name = name_of(node);
  if (name == "script" || name == "style") return;
  if (name == "br") out += ' ';
  if (node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE)
    out += reinterpret_cast<const char*>(node->content);
  for (const auto* child = node->children; child; child = child->next) gather(child, out);
}

/// The text with each stretch of white space as one blank, and none at its ends.
std::string squeezed(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool hard = text.substr(i).starts_with("\xC2\xA0");  // a blank that forbids a line's end is a blank here
    if (hard) ++i;
    if (!hard && std::string_view(" \t\n\r\f\v").find(text[i]) == std::string_view::npos)
      out += text[i];
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  }
  if (out.ends_with(' ')) out.pop_back();
  return out;
}

class Reader {
 public:
  Reader(const std::string& file, const Selection& selection) : file_(file), selection_(selection) {}

  Page read(const xmlNode* root) {
    look(root, 0);
    if (root) page_.language = attribute(root, "lang");
    if (!selection_.below.empty() && !below_)
      throw Error(file_ + ": no element has the id " + backquoted(selection_.below), Exit::data);
    if (const auto* from = selection_.below.empty() ? root : below_) visit(from);
    return std::move(page_);
  }

 private:
  /// Checks the depth, and finds the title and where blocks begin.
  void look(const xmlNode* node, int depth) {
    if (depth > kMostDepth)
      throw Error(file_ + ": its elements are nested more than " + std::to_string(kMostDepth) + " deep", Exit::data);
    for (; node; node = node->next) {
      if (name_of(node) == "title" && page_.title.empty()) page_.title = text_of(node);
      if (!below_ && !selection_.below.empty() && attribute(node, "id") == selection_.below) below_ = node;
      look(node->children, depth + 1);
    }
  }

  void visit(const xmlNode* node) {
    const auto& blocks = selection_.blocks;
    if (std::find(blocks.begin(), blocks.end(), name_of(node)) != blocks.end()) {
      if (!selection_.with_id || !attribute(node, "id").empty()) add(text_of(node));
      return;
    }
    for (const auto* child = node->children; child; child = child->next) visit(child);
  }

  static std::string text_of(const xmlNode* node) {
    std::string out;
    gather(node, out);
    return squeezed(out);
  }

  void add(const std::string& text) {
    if (text.empty()) return;
    if (!page_.text.empty()) page_.text += '\n';
    page_.paragraphs.push_back({"paragraph", page_.text.size(), page_.text.size() + text.size(), {}});
    page_.text += text;
  }

  const std::string& file_;
  const Selection& selection_;
  const xmlNode* below_ = nullptr;
  Page page_;
};

}  // namespace

Page read_page(std::string_view content, const std::string& file, const Selection& selection) {
  if (content.size() > std::numeric_limits<int>::max()) throw Error(file + " is too large for a page", Exit::data);
  if (!is_utf8(content)) throw Error(file + ": invalid UTF-8; convert the page to UTF-8", Exit::data);
  const std::unique_ptr<htmlParserCtxt, Freed> context(htmlNewParserCtxt());
  if (!context) throw std::bad_alloc();
  const std::unique_ptr<xmlDoc, Freed> document(
      htmlCtxtReadMemory(context.get(), content.data(), static_cast<int>(content.size()), nullptr, "UTF-8",
                         HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET));
  return Reader(file, selection).read(document ? xmlDocGetRootElement(document.get()) : nullptr);
}

}  // namespace xp::html
