#include "engine/processes.h"

#include <algorithm>
#include <thread>
#include <utility>

#ifdef XP_GLOO
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#endif

#include "api/ops.h"
#include "base/text.h"
#include "engine/gpu_sums.h"

namespace xp {

void Processes::sum(const std::vector<std::map<std::string, double>*>& maps) {
  if (alone()) return;
  std::string names;
  for (std::size_t m = 0; m < maps.size(); ++m)
    for (const auto& [name, value] : *maps[m]) names += std::to_string(m) + " " + name + "\n";
  auto bytes = ops::empty({std::ssize(names)}, at::kByte);
  std::copy(names.begin(), names.end(), bytes.mutable_data_ptr<std::uint8_t>());
  const auto all = gather(bytes);
  const auto* data = all.const_data_ptr<std::uint8_t>();
  for (const auto& line : split(std::string(data, data + all.numel()), '\n'))
    if (const auto space = line.find(' '); space != std::string::npos)
      maps.at(std::stoul(std::string(line.substr(0, space))))->try_emplace(std::string(line.substr(space + 1)), 0.0);
  std::vector<double> numbers;
  for (const auto* map : maps)
    for (const auto& [name, value] : *map) numbers.push_back(value);
  sum(numbers);
  std::size_t at = 0;
  for (auto* map : maps)
    for (auto& [name, value] : *map) value = numbers[at++];
}

bool Processes::any(bool mine) {
  std::vector<double> votes{mine ? 1.0 : 0.0};
  sum(votes);
  return votes.front() > 0;
}

namespace {

class Alone final : public Processes {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void sum(std::vector<double>&) override {}
  void sum(const std::vector<at::Tensor>&) override {}
  at::Tensor gather(const at::Tensor& rows) override { return rows; }
  void post(const std::string&) override {}
  std::optional<std::string> await(const std::function<bool()>&) override { return std::nullopt; }
};

#ifdef XP_GLOO

constexpr auto kLongestWait = std::chrono::hours(2);  // an evaluation of the first process may take this long
constexpr auto kPoll = std::chrono::milliseconds(500);

class Group final : public Processes {
 public:
  explicit Group(const ProcessPlace& place) : rank_(place.rank), size_(place.size) {
    run([&] {
      auto options = c10d::ProcessGroupGloo::Options::create_default(kLongestWait);
      if (place.host.empty()) {
        std::filesystem::create_directories(place.file.parent_path());
        store_ = c10::make_intrusive<c10d::FileStore>(place.file.string(), size_);
      } else {
        c10d::TCPStoreOptions where;
        where.port = place.port, where.isServer = rank_ == 0 && !place.served, where.numWorkers = size_;
        store_ = c10::make_intrusive<c10d::TCPStore>(place.host, where);
      }
      options->devices.push_back(place.local ? c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1")
                                             : c10d::ProcessGroupGloo::createDefaultDevice());
      group_ = c10::make_intrusive<c10d::ProcessGroupGloo>(store_, rank_, size_, options);
    });
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  bool lost() const override { return lost_; }

  void sum(std::vector<double>& numbers) override {
    if (numbers.empty()) return;
    std::vector<at::Tensor> all{ops::tensor(numbers, at::kDouble)};
    run([&] { group_->allreduce(all)->wait(); });
    const auto* data = all.front().const_data_ptr<double>();
    numbers.assign(data, data + numbers.size());
  }

  void sum(const std::vector<at::Tensor>& tensors) override {
    if (tensors.empty()) return;
    std::vector<at::Tensor> parts;
    for (const auto& one : tensors) parts.push_back(one.flatten());
    auto flat = ops::cat(parts);
    if (!sum_on_gpus(flat)) {
      std::vector<at::Tensor> all{flat.cpu()};  // Gloo sums on the CPU
      run([&] { group_->allreduce(all)->wait(); });
      flat = all.front();
    }
    std::int64_t at = 0;
    for (const auto& one : tensors) {
      at::Tensor(one).copy_(flat.narrow(0, at, one.numel()).view_as(one));
      at += one.numel();
    }
  }

  at::Tensor gather(const at::Tensor& rows) override;

  /// Rows of all processes, this one's first, then by rank; also how many each has.
  at::Tensor collect(const at::Tensor& rows, std::vector<double>& counts) {
    counts.assign(static_cast<std::size_t>(size_), 0);
    counts[static_cast<std::size_t>(rank_)] = static_cast<double>(rows.size(0));
    sum(counts);
    const auto most = static_cast<std::int64_t>(*std::max_element(counts.begin(), counts.end()));
    auto shape = rows.sizes().vec();
    shape[0] = most;
    auto padded = ops::zeros(shape, rows.options().device(at::kCPU));
    padded.narrow(0, 0, rows.size(0)).copy_(rows);
    std::vector<std::vector<at::Tensor>> out(1);
    for (int r = 0; r < size_; ++r) out[0].push_back(padded.new_empty(shape));
    std::vector<at::Tensor> in{padded};
    run([&] { group_->allgather(out, in)->wait(); });
    std::vector<at::Tensor> parts{rows};
    for (int r = 0; r < size_; ++r)
      if (r != rank_)
        parts.push_back(out[0][static_cast<std::size_t>(r)].narrow(0, 0, count(counts, r)).to(rows.device()));
    return ops::cat(parts);
  }

  /// The sum over processes of what each says about this process's rows.
  at::Tensor return_rows(const at::Tensor& gradient, const std::vector<double>& counts) {
    std::vector<at::Tensor> by_rank(static_cast<std::size_t>(size_));
    std::int64_t at = count(counts, rank_);
    by_rank[static_cast<std::size_t>(rank_)] = gradient.narrow(0, 0, at);
    for (int r = 0; r < size_; ++r) {
      if (r == rank_) continue;
      by_rank[static_cast<std::size_t>(r)] = gradient.narrow(0, at, count(counts, r));
      at += count(counts, r);
    }
    std::vector<at::Tensor> all{ops::cat(by_rank).cpu()};
    run([&] { group_->allreduce(all)->wait(); });
    std::int64_t before = 0;
    for (int r = 0; r < rank_; ++r) before += count(counts, r);
    return all.front().narrow(0, before, count(counts, rank_)).to(gradient.device());
  }

  void post(const std::string& message) override {
    run([&] { store_->set(key(messages_++), message); });
  }

  std::optional<std::string> await(const std::function<bool()>& stopped) override {
    const auto name = key(messages_++);
    for (;;) {
      if (stopped()) return std::nullopt;
      bool there = false;
      run([&] { there = store_->check({name}); });
      if (!there) {
        std::this_thread::sleep_for(kPoll);
        continue;
      }
      std::string text;
      run([&] { text = store_->get_to_str(name); });
      return text;
    }
  }

 private:
  /// False where the GPUs cannot.
  bool sum_on_gpus(at::Tensor& flat) {
    if (!flat.is_cuda()) return false;
    run([&] {
      if (!std::exchange(asked_gpus_, true)) gpus_ = GpuSums::make(store_, rank_, size_, flat.device());
      std::vector<double> came{1};
      if (gpus_) gpus_->sum(flat, [&] { sum(came); });
    });
    return gpus_ != nullptr;
  }

  static std::string key(std::int64_t n) { return "message/" + std::to_string(n); }
  static std::int64_t count(const std::vector<double>& counts, int r) {
    return static_cast<std::int64_t>(counts[static_cast<std::size_t>(r)]);
  }

  template <class F>
  void run(F&& what) {
    try {
      what();
    } catch (const std::exception& error) {
      lost_ = true;
      const std::string_view all = error.what();
      throw Error("process " + std::to_string(rank_) + " of " + std::to_string(size_) +
                      " lost the others: " + std::string(all.substr(0, all.find('\n'))),
                  Exit::stopped);
    }
  }

  int rank_, size_;
  bool lost_ = false, asked_gpus_ = false;
  std::int64_t messages_ = 0;
  c10::intrusive_ptr<c10d::Store> store_;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> group_;
  std::unique_ptr<GpuSums> gpus_;
};

struct GatherRows final : torch::autograd::Function<GatherRows> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& rows, std::int64_t group) {
    auto& here = *reinterpret_cast<Group*>(group);
    std::vector<double> counts;
    auto all = here.collect(rows.contiguous(), counts);
    context->saved_data["group"] = group, context->saved_data["counts"] = counts;
    return all;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    auto& here = *reinterpret_cast<Group*>(context->saved_data["group"].toInt());
    return {here.return_rows(gradients[0].contiguous(), context->saved_data["counts"].toDoubleVector()), {}};
  }
};

at::Tensor Group::gather(const at::Tensor& rows) {
  return GatherRows::apply(rows, reinterpret_cast<std::int64_t>(this));
}

#endif  // XP_GLOO

}  // namespace

std::unique_ptr<Processes> Processes::join(const ProcessPlace& place) {
  if (place.size == 1) return std::make_unique<Alone>();
#ifdef XP_GLOO
  return std::make_unique<Group>(place);
#else
  throw Error(
      "this build trains in one process only: LibTorch's Gloo needs the headers of libgloo-dev; install it "
      "and configure again",
      Exit::usage);
#endif
}

}  // namespace xp
