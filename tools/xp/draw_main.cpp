// Draws an SVG of standard input as PNG or PDF on standard output. The only place that calls librsvg.
#include <cairo-pdf.h>
#include <librsvg/rsvg.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <string>

#if defined(__SANITIZE_ADDRESS__)
// Fontconfig and pango keep what they read until the process ends.
extern "C" __attribute__((visibility("default"))) const char* __asan_default_options() { return "detect_leaks=0"; }
#endif

namespace {

constexpr double kPixelsPerDot = 2;          // screens and slides show twice as many as CSS counts
constexpr double kPointsPerDot = 72.0 / 96;  // CSS counts 96 to the inch

int fail(std::string what) {
  while (!what.empty() && what.back() == '\n') what.pop_back();
  std::fprintf(stderr, "xp-draw: %s\n", what.c_str());
  return 1;
}

cairo_status_t put(void*, const unsigned char* bytes, unsigned n) {
  return std::fwrite(bytes, 1, n, stdout) == n ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

/// Empty, or what went wrong.
std::string render(RsvgHandle* handle, cairo_surface_t* surface, double width, double height) {
  const std::unique_ptr<cairo_t, decltype(&cairo_destroy)> to(cairo_create(surface), &cairo_destroy);
  const RsvgRectangle page{0, 0, width, height};
  GError* error = nullptr;
  if (!rsvg_handle_render_document(handle, to.get(), &page, &error)) {
    const std::string text = error ? error->message : "it cannot be rendered";
    g_clear_error(&error);
    return text;
  }
  const auto status = cairo_status(to.get());
  return status == CAIRO_STATUS_SUCCESS ? "" : cairo_status_to_string(status);
}

int draw(RsvgHandle* handle, bool pdf) {
  rsvg_handle_set_dpi(handle, 96);
  double width = 0, height = 0;
  if (!rsvg_handle_get_intrinsic_size_in_pixels(handle, &width, &height)) return fail("the SVG states no size");
  const double scale = pdf ? kPointsPerDot : kPixelsPerDot;
  width *= scale, height *= scale;
  const std::unique_ptr<cairo_surface_t, decltype(&cairo_surface_destroy)> surface(
      pdf ? cairo_pdf_surface_create_for_stream(&put, nullptr, width, height)
          : cairo_image_surface_create(CAIRO_FORMAT_ARGB32, static_cast<int>(std::lround(width)),
                                       static_cast<int>(std::lround(height))),
      &cairo_surface_destroy);
  // The time of drawing would make equal pictures differ.
  if (pdf) cairo_pdf_surface_set_metadata(surface.get(), CAIRO_PDF_METADATA_CREATE_DATE, "1970-01-01T00:00:00Z");
  if (const auto wrong = render(handle, surface.get(), width, height); !wrong.empty()) return fail(wrong);
  auto status = pdf ? CAIRO_STATUS_SUCCESS : cairo_surface_write_to_png_stream(surface.get(), &put, nullptr);
  cairo_surface_finish(surface.get());
  if (status == CAIRO_STATUS_SUCCESS) status = cairo_surface_status(surface.get());
  if (status != CAIRO_STATUS_SUCCESS) return fail(cairo_status_to_string(status));
  return std::fflush(stdout) == 0 ? 0 : fail("the output cannot be written");
}

}  // namespace

int main(int argc, char** argv) {
  const std::string format = argc == 2 ? argv[1] : "";
  if (format != "png" && format != "pdf") {
    std::fputs("usage: xp-draw png|pdf < SVG\n", stderr);
    return 2;
  }
  std::string svg;
  char part[1 << 16];
  for (std::size_t n = 0; (n = std::fread(part, 1, sizeof part, stdin)) > 0;) svg.append(part, n);
  GError* error = nullptr;
  const std::unique_ptr<RsvgHandle, decltype(&g_object_unref)> handle(
      rsvg_handle_new_from_data(reinterpret_cast<const guint8*>(svg.data()), svg.size(), &error), &g_object_unref);
  if (!handle) {
    const std::string text = error ? error->message : "it is no SVG";
    g_clear_error(&error);
    return fail(text);
  }
  return draw(handle.get(), format == "pdf");
}
