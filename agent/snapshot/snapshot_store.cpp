#include "agent/snapshot/snapshot_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "agent/loop/clock.hpp"
#include "agent/snapshot/zstd_file.hpp"

namespace marmot::agent {

namespace {

constexpr int kPages = 2048;              // copied between two looks whether somebody still wants it
constexpr int64_t kProgressMs = 200;
constexpr WallMs kMarksKeptMs = 3'600'000;  // of deleted snapshots
constexpr WallMs kClockSlackMs = 5'000;     // between a node's clock and the server's
constexpr std::string_view kSuffix = ".db.zst";

template <class T>
std::optional<T> number_of(const nats::ObjectInfo& object, const char* key, int base = 10) {
  const auto at = object.metadata.find(key);
  if (at == object.metadata.end()) return std::nullopt;
  T value{};
  const auto [end, error] = std::from_chars(at->second.data(), at->second.data() + at->second.size(), value, base);
  if (error != std::errc{} || end != at->second.data() + at->second.size()) return std::nullopt;
  return value;
}

std::string text_of(const nats::ObjectInfo& object, const char* key) {
  const auto at = object.metadata.find(key);
  return at == object.metadata.end() ? std::string() : at->second;
}

// As wide as a sequence can get, so that names sort.
std::string object_name(const replica::SnapshotInfo& info) {
  char text[32];
  std::snprintf(text, sizeof text, "%020llu", static_cast<unsigned long long>(info.seq));
  return text + std::string(kSuffix);
}

std::map<std::string, std::string> metadata_of(const replica::SnapshotInfo& info, int64_t bytes) {
  return {{"stream_id", to_hex(info.stream_id)}, {"seq", std::to_string(info.seq)},   {"msg_id", info.msg_id}, {"msg_at_ms", std::to_string(info.msg_at)},
          {"node", std::to_string(info.node.value)}, {"at_ms", std::to_string(info.at)}, {"rows", std::to_string(info.rows)},
          {"bytes", std::to_string(bytes)},      {"marmot", MARMOT_VERSION},          {"compression", "zstd"}};
}

int64_t size_of(const std::string& path) {
  struct stat facts {};
  return ::stat(path.c_str(), &facts) == 0 ? static_cast<int64_t>(facts.st_size) : 0;
}

// The new name lasts a power cut.
void sync_folder(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const int fd = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

std::optional<SnapshotRecord> read_record(const nats::ObjectInfo& object) {
  if (object.deleted) return std::nullopt;
  const auto stream_id = number_of<uint64_t>(object, "stream_id", 16);
  const auto seq = number_of<StreamSeq>(object, "seq");
  const auto node = number_of<uint64_t>(object, "node");
  const auto at = number_of<WallMs>(object, "at_ms");
  if (!stream_id || !seq || !node || !at || text_of(object, "compression") != "zstd") return std::nullopt;
  SnapshotRecord record;
  record.object = object;
  record.info = {*stream_id, *seq, text_of(object, "msg_id"), number_of<WallMs>(object, "msg_at_ms").value_or(0), NodeId{*node}, *at,
                 number_of<int64_t>(object, "rows").value_or(0)};
  record.bytes = number_of<int64_t>(object, "bytes").value_or(0);
  record.version = text_of(object, "marmot");
  return record;
}

bool bridges(const SnapshotRecord& record, const nats::StreamState& stream) {
  return record.info.seq + 1 >= stream.first_seq && record.info.seq <= stream.last_seq &&
         record.info.at + kClockSlackMs >= stream.created_ms;
}

void remove_database(const std::string& path) {
  for (const char* suffix : {"", "-journal", "-wal", "-shm"}) ::unlink((path + suffix).c_str());
}

Status place_file(const std::string& from, const std::string& to) {
  // The folder of `from` may be on another file system.
  const std::string beside = to + ".marmot-new";
  std::error_code code;
  std::filesystem::remove(beside, code);
  if (::link(from.c_str(), beside.c_str()) != 0) {
    std::filesystem::copy_file(from, beside, code);
    if (code) return make_error(Errc::io, "copy to " + beside + ": " + code.message());
  }
  const int linked = ::link(beside.c_str(), to.c_str()) == 0 ? 0 : errno;
  std::filesystem::remove(beside, code);
  if (linked == EEXIST) return make_error(Errc::refused, to + " exists already");
  if (linked != 0) return make_error(Errc::io, "make " + to + ": " + std::strerror(linked), linked);
  sync_folder(to);
  return ok();
}

struct SnapshotStore::Saving {
  std::shared_ptr<replica::SnapshotCopy> copy;
  replica::SnapshotInfo info;
  WallMs at = 0;
  std::string plain, packed;
  std::atomic<uint64_t> copied{0}, to_copy{0}, compressed{0};
  int64_t bytes = 0;
  Status outcome = ok();
  Progress progress;
  std::function<void(Result<SnapshotRecord>)> done;
  ~Saving() {
    copy.reset();
    remove_database(plain);
    ::unlink(packed.c_str());
  }
};

struct SnapshotStore::Fetching {
  SnapshotRecord record;
  std::string packed, path;
  std::atomic<uint64_t> unpacked{0};
  Status outcome = ok();
  bool complete = false;
  Progress progress;
  std::function<void(Status)> done;
  ~Fetching() {
    ::unlink(packed.c_str());
    if (!complete) remove_database(path);
  }
};

struct SnapshotStore::Choosing {
  std::string stream;
  nats::StreamState state;
  std::vector<SnapshotRecord> candidates;  // the next one last
  std::function<void(Result<std::optional<SnapshotRecord>>)> done;
};

SnapshotStore::SnapshotStore(uv::Loop& loop, nats::Connection& connection, const std::string& cluster, const std::string& name,
                             int replicas, std::string directory, LogSink log)
    : loop_(loop),
      connection_(connection),
      name_(name),
      directory_(std::move(directory)),
      log_(std::move(log)),
      objects_(connection.object_store(nats::Bucket{"MARMOT_" + cluster + "_" + name + "_snapshots",
                                                    "Marmot: snapshots of " + name + " in cluster " + cluster, replicas})),
      progress_(loop, [this] {
        if (saving_ && saving_->progress && saving_->compressed == 0) saving_->progress("copy", saving_->copied, saving_->to_copy);
        else if (saving_ && saving_->progress) saving_->progress("compress", saving_->compressed, static_cast<uint64_t>(saving_->bytes));
        if (fetching_ && fetching_->progress) fetching_->progress("unpack", fetching_->unpacked, fetching_->record.object.size);
      }) {
  std::error_code code;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, code)) {
    if (entry.path().filename().string().starts_with(name_ + ".snapshot-")) ::unlink(entry.path().c_str());
  }
}

SnapshotStore::~SnapshotStore() {
  alive_.reset();
  save_work_.reset();
  fetch_work_.reset();
  objects_.reset();
}

std::string SnapshotStore::scratch(const std::string& purpose) const { return directory_ + "/" + name_ + ".snapshot-" + purpose; }

void SnapshotStore::list(std::function<void(Result<std::vector<SnapshotRecord>>)> done) {
  objects_->list([done = std::move(done)](Result<std::vector<nats::ObjectInfo>> objects) {
    if (!objects) return done(std::move(objects).error());
    std::vector<SnapshotRecord> records;
    for (const nats::ObjectInfo& object : *objects) {
      if (auto record = read_record(object)) records.push_back(*std::move(record));
    }
    std::sort(records.begin(), records.end(), [](const SnapshotRecord& a, const SnapshotRecord& b) {
      return std::pair(a.info.at, a.info.seq) > std::pair(b.info.at, b.info.seq);
    });
    done(std::move(records));
  });
}

void SnapshotStore::choose(const std::string& stream, const nats::StreamState& state, uint64_t stream_id,
                           std::function<void(Result<std::optional<SnapshotRecord>>)> done) {
  const auto choosing = std::make_shared<Choosing>(Choosing{stream, state, {}, std::move(done)});
  list([this, choosing, stream_id](Result<std::vector<SnapshotRecord>> records) {
    if (!records) return choosing->done(std::move(records).error());
    for (SnapshotRecord& record : *records) {
      if (damaged_.count(record.object.nuid) == 0 && bridges(record, choosing->state) && (stream_id == 0 || stream_id == record.info.stream_id)) {
        choosing->candidates.push_back(std::move(record));
      }
    }
    std::reverse(choosing->candidates.begin(), choosing->candidates.end());
    check_candidate(choosing);
  });
}

void SnapshotStore::check_candidate(const std::shared_ptr<Choosing>& choosing) {
  if (choosing->candidates.empty()) return choosing->done(std::optional<SnapshotRecord>());
  SnapshotRecord record = std::move(choosing->candidates.back());
  choosing->candidates.pop_back();
  // Its last message is the one just before the stream's first: nothing is left to compare.
  if (record.info.seq < choosing->state.first_seq) return choosing->done(std::optional(std::move(record)));
  connection_.get_message(choosing->stream, record.info.seq, [this, alive = std::weak_ptr(alive_), choosing, record](Result<nats::StoredMessage> message) {
    if (alive.expired()) return;
    if (!message && message.error().code != Errc::not_found) return choosing->done(std::move(message).error());
    if (message && !record.info.position().is(message->msg_id, message->time_ms)) return check_candidate(choosing);
    choosing->done(std::optional(record));
  });
}

void SnapshotStore::fetch(const SnapshotRecord& record, const std::string& path, Progress progress, std::function<void(Status)> done) {
  const auto fetching = std::make_shared<Fetching>();
  fetching->record = record;
  fetching->path = path;
  fetching->packed = path + ".zst";
  fetching->progress = progress;
  fetching->done = std::move(done);
  remove_database(path);
  nats::ObjectStore::Progress downloaded;
  if (progress) downloaded = [progress](uint64_t bytes, uint64_t total) { progress("download", bytes, total); };
  objects_->get(record.object, fetching->packed, downloaded, [this, fetching](Status got) {
    if (!got) return fetched(fetching, std::move(got));
    unpack(fetching);
  });
}

void SnapshotStore::unpack(const std::shared_ptr<Fetching>& fetching) {
  fetching_ = fetching;
  progress_.start(uv::Milliseconds(kProgressMs), uv::Milliseconds(kProgressMs));
  fetch_work_ = std::make_unique<uv::PoolJob>(
      loop_,
      [fetching](const uv::PoolJob::Cancelled& cancelled) {
        fetching->outcome = [&]() -> Status {
          TRY(decompress_file(fetching->packed, fetching->path, cancelled, fetching->unpacked));
          TRY_ASSIGN(const replica::SnapshotInfo info, replica::read_snapshot_info(fetching->path));
          const replica::SnapshotInfo& wanted = fetching->record.info;
          if (info.stream_id != wanted.stream_id || info.seq != wanted.seq) {
            return make_error(Errc::corrupt, "snapshot " + fetching->record.object.name + " is of another position than it says");
          }
          fetching->complete = true;
          return ok();
        }();
      },
      [this, fetching] {
        fetching_.reset();
        if (!saving_) progress_.stop();
        ::unlink(fetching->packed.c_str());
        fetched(fetching, fetching->outcome);
      });
}

void SnapshotStore::fetched(const std::shared_ptr<Fetching>& fetching, Status outcome) {
  if (!outcome && (outcome.error().code == Errc::corrupt || outcome.error().code == Errc::schema)) {
    damaged_.insert(fetching->record.object.nuid);
    log_(LogLevel::error, name_ + ": snapshot " + fetching->record.object.name + " is damaged: " + outcome.error().message);
  }
  fetching->done(std::move(outcome));
}

void SnapshotStore::save(std::unique_ptr<replica::SnapshotCopy> copy, Progress progress, std::function<void(Result<SnapshotRecord>)> done) {
  const auto saving = std::make_shared<Saving>();
  saving->copy = std::move(copy);
  saving->at = wall_now();
  saving->plain = scratch("take");
  saving->packed = scratch("take.zst");
  saving->progress = std::move(progress);
  saving->done = std::move(done);
  saving_ = saving;
  progress_.start(uv::Milliseconds(kProgressMs), uv::Milliseconds(kProgressMs));
  save_work_ = std::make_unique<uv::PoolJob>(
      loop_,
      [saving](const uv::PoolJob::Cancelled& cancelled) {
        saving->outcome = [&]() -> Status {
          for (bool complete = false; !complete;) {
            if (cancelled) return make_error(Errc::busy, "cancelled");
            TRY_ASSIGN(complete, saving->copy->step(kPages));
            saving->copied = static_cast<uint64_t>(saving->copy->pages_done());
            saving->to_copy = static_cast<uint64_t>(saving->copy->pages_total());
          }
          saving->info = saving->copy->info();
          saving->info.at = saving->at;
          saving->copy.reset();
          saving->bytes = size_of(saving->plain);
          TRY(compress_file(saving->plain, saving->packed, cancelled, saving->compressed));
          remove_database(saving->plain);
          return ok();
        }();
        saving->copy.reset();
      },
      [this, saving] { upload(saving); });
}

void SnapshotStore::upload(const std::shared_ptr<Saving>& saving) {
  saving_.reset();
  if (!fetching_) progress_.stop();
  if (!saving->outcome) return saving->done(Error(saving->outcome.error()).in("copy the database"));
  nats::ObjectStore::Progress uploaded;
  if (saving->progress) uploaded = [saving](uint64_t bytes, uint64_t total) { saving->progress("upload", bytes, total); };
  objects_->put(saving->packed, object_name(saving->info), metadata_of(saving->info, saving->bytes), uploaded,
                [saving](Result<nats::ObjectInfo> object) {
                  if (!object) return saving->done(std::move(object).error());
                  object->modified_ms = saving->info.at;
                  saving->done(*read_record(*object));
                });
}

void SnapshotStore::prune(size_t keep, std::function<void(Result<size_t>)> done) {
  objects_->list([this, keep, done = std::move(done)](Result<std::vector<nats::ObjectInfo>> objects) {
    if (!objects) return done(std::move(objects).error());
    std::vector<SnapshotRecord> records;
    WallMs newest = 0;
    for (const nats::ObjectInfo& object : *objects) {
      newest = std::max(newest, object.modified_ms);
      if (auto record = read_record(object)) records.push_back(*std::move(record));
    }
    for (const nats::ObjectInfo& object : *objects) {
      if (object.deleted && object.modified_ms + kMarksKeptMs < newest) objects_->forget(object.name, [](Status) {});
    }
    std::sort(records.begin(), records.end(), [](const SnapshotRecord& a, const SnapshotRecord& b) {
      return std::pair(a.info.at, a.info.seq) > std::pair(b.info.at, b.info.seq);
    });
    std::vector<std::string> surplus;
    for (size_t i = std::max<size_t>(keep, 1); i < records.size(); ++i) surplus.push_back(records[i].object.name);
    remove_all(std::move(surplus), 0, done);
  });
}

void SnapshotStore::remove_all(std::vector<std::string> names, size_t removed, std::function<void(Result<size_t>)> done) {
  if (names.empty()) return done(removed);
  const std::string name = std::move(names.back());
  names.pop_back();
  objects_->remove(name, [this, names = std::move(names), removed, done = std::move(done)](Status gone) mutable {
    if (!gone && gone.error().code != Errc::not_found) return done(std::move(gone).error());
    remove_all(std::move(names), removed + 1, std::move(done));
  });
}

}  // namespace marmot::agent
