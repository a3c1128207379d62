#include "agent/nats/object_store.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <random>
#include <utility>

#include "agent/nats/api.hpp"

namespace marmot::agent::nats {

// What tasks of a store share; they hold it weakly, so that nothing is called once the store is gone.
struct ObjectStore::State {
  std::shared_ptr<Core> core;
  Bucket bucket;

  std::string stream() const { return "OBJ_" + bucket.name; }
  std::string meta_subject(const std::string& name) const {
    return "$O." + bucket.name + ".M." + api::encode_base64url(name);
  }
  std::string chunk_subject(const std::string& nuid) const { return "$O." + bucket.name + ".C." + nuid; }
};

namespace {

using api::Json;
using State = ObjectStore::State;

constexpr size_t kWindow = 16;               // chunks of a put in flight
constexpr int64_t kChunkTimeoutMs = 20'000;  // a slow uplink has 2 MB before this one
constexpr int kMaxRestarts = 5;              // of a get's consumer without a chunk in between

Error os_error(const std::string& verb) {
  const int code = errno;
  const Errc kind = code == ENOSPC || code == EDQUOT ? Errc::full : code == ENOENT ? Errc::not_found : Errc::io;
  return make_error(kind, verb + ": " + std::strerror(code), code);
}

class File {
 public:
  File() = default;
  explicit File(int fd) : fd_(fd) {}
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~File() { close(); }
  int get() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_, EVP_sha256(), nullptr); }
  ~Sha256() { EVP_MD_CTX_free(context_); }
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void add(std::string_view bytes) { EVP_DigestUpdate(context_, bytes.data(), bytes.size()); }
  std::string digest() {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_DigestFinal_ex(context_, bytes, &size);
    return "SHA-256=" + api::encode_base64url(std::string_view(reinterpret_cast<const char*>(bytes), size));
  }

 private:
  EVP_MD_CTX* context_;
};

std::string new_nuid() {
  static constexpr char kDigits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::random_device device;
  std::uniform_int_distribution<size_t> pick(0, sizeof kDigits - 2);
  std::string out;
  for (int i = 0; i < 22; ++i) out += kDigits[pick(device)];
  return out;
}

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

Json meta_of(const State& state, const ObjectInfo& object) {
  Json json{{"name", object.name},       {"bucket", state.bucket.name},
            {"nuid", object.nuid},       {"size", object.size},
            {"chunks", object.chunks},   {"mtime", now_text()},
            {"metadata", object.metadata}, {"options", {{"max_chunk_size", kObjectChunk}}}};
  if (object.deleted) json["deleted"] = true;
  else json["digest"] = object.digest;
  return json;
}

Result<ObjectInfo> info_of(const Json& reply) {
  const Json& message = api::object(reply, "message");
  const Json json = Json::parse(api::decode_base64(api::text(message, "data")), nullptr, false);
  if (!json.is_object()) return make_error(Errc::corrupt, "an object's description is no JSON object");
  ObjectInfo info;
  info.name = api::text(json, "name");
  info.nuid = api::text(json, "nuid");
  info.digest = api::text(json, "digest");
  info.size = api::number(json, "size");
  info.chunks = api::number(json, "chunks");
  info.modified_ms = api::parse_time(api::text(message, "time"));
  const auto deleted = json.find("deleted");
  info.deleted = deleted != json.end() && deleted->is_boolean() && deleted->get<bool>();
  for (const auto& [key, value] : api::object(json, "metadata").items()) {
    if (value.is_string()) info.metadata[key] = value.get<std::string>();
  }
  if (info.name.empty() || (!info.deleted && info.nuid.empty())) return make_error(Errc::corrupt, "an object's description lacks its name or nuid");
  return info;
}

void with_info(const std::shared_ptr<State>& state, const std::string& name, std::function<void(Result<ObjectInfo>)> done) {
  api::read(*state->core, "STREAM.MSG.GET." + state->stream(), Json{{"last_by_subj", state->meta_subject(name)}},
            [weak = std::weak_ptr(state), done = std::move(done)](Result<Json> reply) {
              if (weak.expired()) return;
              if (!reply) return done(std::move(reply).error());
              done(info_of(*reply));
            });
}

// Purges one subject; a stream that is gone has none.
void purge(const std::shared_ptr<State>& state, const std::string& subject, std::function<void(Status)> done) {
  api::call(*state->core, "STREAM.PURGE." + state->stream(), Json{{"filter", subject}},
            [weak = std::weak_ptr(state), done = std::move(done)](Result<Json> reply) {
              if (weak.expired() || !done) return;
              if (!reply && reply.error().code != Errc::not_found) return done(std::move(reply).error().in("purge"));
              done(ok());
            });
}

// A publish that JetStream acknowledges.
Status send(const std::shared_ptr<State>& state, const std::string& subject, std::string_view data,
            std::vector<std::pair<const char*, std::string>> headers, std::function<void(Status)> done) {
  Outgoing message;
  message.subject = subject;
  message.data = data;
  message.headers = std::move(headers);
  message.headers.emplace_back("Nats-Expected-Stream", state->stream());
  return state->core->ask(message, kChunkTimeoutMs, false, [weak = std::weak_ptr(state), done = std::move(done)](Result<Incoming> answer) {
    if (weak.expired()) return;
    if (!answer) return done(std::move(answer).error());
    const auto json = api::parse(answer->data);
    if (!json) return done(json.error());
    done(ok());
  });
}

Status store_meta(const std::shared_ptr<State>& state, const ObjectInfo& object, std::function<void(Status)> done) {
  const std::string text = meta_of(*state, object).dump(-1, ' ', false, Json::error_handler_t::replace);
  return send(state, state->meta_subject(object.name), text, {{"Nats-Rollup", "sub"}}, std::move(done));
}

// Runs a callback in a later turn: none is called before the method that got it returns.
void later(const std::shared_ptr<State>& state, std::function<void()> call) {
  state->core->after(0, [weak = std::weak_ptr(state), call = std::move(call)] {
    if (!weak.expired()) call();
  });
}

// -- put ----------------------------------------------------------------------------------------------------------------

class Put : public std::enable_shared_from_this<Put> {
 public:
  Put(const std::shared_ptr<State>& state, std::string path, ObjectStore::Progress progress,
      std::function<void(Result<ObjectInfo>)> done)
      : state_(state), path_(std::move(path)), progress_(std::move(progress)), done_(std::move(done)) {}

  void start(const std::string& name, std::map<std::string, std::string> metadata) {
    object_.name = name;
    object_.metadata = std::move(metadata);
    object_.nuid = new_nuid();
    const auto state = state_.lock();
    file_ = File(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat facts {};
    if (file_.get() < 0 || ::fstat(file_.get(), &facts) != 0) return fail_later(os_error("open " + path_));
    total_ = static_cast<uint64_t>(facts.st_size);
    const Json wanted{{"name", state->stream()},
                      {"description", state->bucket.description},
                      {"subjects", Json::array({"$O." + state->bucket.name + ".C.>", "$O." + state->bucket.name + ".M.>"})},
                      {"storage", "file"},
                      {"retention", "limits"},
                      {"discard", "new"},
                      {"num_replicas", state->bucket.replicas},
                      {"allow_rollup_hdrs", true},
                      {"allow_direct", true}};
    // Looked at first: creating what is there with another configuration (more replicas by now) is refused.
    api::read(*state->core, "STREAM.INFO." + state->stream(), Json(), [self = shared_from_this(), wanted](Result<Json> info) {
      const auto store = self->state_.lock();
      if (!store) return;
      if (info) return self->look_for_former();
      if (info.error().code != Errc::not_found) return self->fail(std::move(info).error());
      api::call(*store->core, "STREAM.CREATE." + store->stream(), wanted, [self](Result<Json> made) {
        if (!made && made.error().detail != api::kStreamNameInUse) return self->fail(std::move(made).error().in("make the bucket"));
        self->look_for_former();
      });
    });
  }

 private:
  void look_for_former() {
    const auto state = state_.lock();
    if (!state) return;
    with_info(state, object_.name, [self = shared_from_this()](Result<ObjectInfo> info) {
      if (info && !info->deleted) self->former_ = info->nuid;
      const Status known = info ? ok() : Status(std::move(info).error());
      if (known || known.error().code == Errc::not_found || known.error().code == Errc::corrupt) self->pump();
      else self->fail(known.error());
    });
  }

  void pump() {
    const auto state = state_.lock();
    if (!state || !done_) return;
    const size_t chunk = std::min(kObjectChunk, state->core->max_payload() / 2);
    while (!ended_ && in_flight_ < kWindow && chunk != 0) {
      buffer_.resize(chunk);
      size_t have = 0;
      while (have < chunk) {
        const ssize_t got = ::read(file_.get(), buffer_.data() + have, chunk - have);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(os_error("read " + path_));
        if (got == 0) break;
        have += static_cast<size_t>(got);
      }
      ended_ = have < chunk;
      if (have == 0) break;
      const std::string_view data(buffer_.data(), have);
      sha_.add(data);
      const Status sent = send(state, state->chunk_subject(object_.nuid), data, {},
                               [self = shared_from_this(), have](Status stored) { self->answered(have, std::move(stored)); });
      if (!sent) return fail(sent.error());
      ++in_flight_;
      ++object_.chunks;
      object_.size += have;
    }
    if (chunk == 0) return fail(make_error(Errc::unavailable, "not connected to NATS"));
    if (ended_ && in_flight_ == 0) finish();
  }

  void answered(size_t bytes, Status stored) {
    --in_flight_;
    if (!done_) return;
    if (!stored) return fail(stored.error());
    acknowledged_ += bytes;
    if (progress_) progress_(acknowledged_, std::max(total_, acknowledged_));
    pump();
  }

  void finish() {
    if (std::exchange(finishing_, true)) return;
    const auto state = state_.lock();
    object_.digest = sha_.digest();
    const Status sent = store_meta(state, object_, [self = shared_from_this()](Status stored) {
      const auto store = self->state_.lock();
      if (!store || !self->done_) return;
      if (!stored) return self->fail(std::move(stored).error());
      if (!self->former_.empty()) purge(store, store->chunk_subject(self->former_), {});
      std::exchange(self->done_, nullptr)(self->object_);
    });
    if (!sent) fail(sent.error());
  }

  void fail(Error error) {
    if (!done_) return;
    file_.close();
    // After a meta message without an answer the object may be there: its chunks must stay. Nobody else knows them.
    if (const auto state = state_.lock(); state && !finishing_ && object_.chunks > 0 && state->core->connected()) {
      purge(state, state->chunk_subject(object_.nuid), {});
    }
    std::exchange(done_, nullptr)(std::move(error).in("store " + object_.name));
  }

  void fail_later(Error error) {
    later(state_.lock(), [self = shared_from_this(), error = std::move(error)] { self->fail(error); });
  }

  const std::weak_ptr<State> state_;
  const std::string path_;
  const ObjectStore::Progress progress_;
  std::function<void(Result<ObjectInfo>)> done_;
  ObjectInfo object_;
  std::string former_;  // nuid of the object that had the name
  File file_;
  Sha256 sha_;
  std::string buffer_;
  uint64_t total_ = 0, acknowledged_ = 0;
  size_t in_flight_ = 0;
  bool ended_ = false, finishing_ = false;
};

// -- get ----------------------------------------------------------------------------------------------------------------

// An ordered consumer of the object's subject: made again behind the last chunk whenever one is missing.
class Get : public std::enable_shared_from_this<Get> {
 public:
  Get(const std::shared_ptr<State>& state, ObjectInfo object, std::string path, ObjectStore::Progress progress,
      std::function<void(Status)> done)
      : state_(state), object_(std::move(object)), path_(std::move(path)), progress_(std::move(progress)), done_(std::move(done)) {}
  ~Get() {
    if (done_) drop_file();  // given up
  }

  void start() {
    file_ = File(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (file_.get() < 0) return fail_later(os_error("make " + path_));
    if (object_.chunks == 0) return later(state_.lock(), [self = shared_from_this()] { self->finish(); });
    consume();
  }

 private:
  void consume() {
    const auto state = state_.lock();
    if (!state) return;
    drop_consumer(*state);
    if (++restarts_ > kMaxRestarts) return fail(make_error(Errc::timeout, "the server does not send it"));
    const uint64_t generation = ++generation_;
    next_ = 1;
    const std::string inbox = state->core->new_inbox();
    subscription_ = state->core->subscribe(inbox, [weak = weak_from_this(), generation](Incoming& in) {
      const auto self = weak.lock();
      if (self && generation == self->generation_) self->arrived(in);
    }, false);
    Json config{{"deliver_subject", inbox}, {"deliver_policy", "all"},  {"filter_subject", state->chunk_subject(object_.nuid)},
                {"ack_policy", "none"},     {"max_deliver", 1},         {"replay_policy", "instant"},
                {"flow_control", true},     {"idle_heartbeat", kHeartbeatMs * 1'000'000},
                {"mem_storage", true},      {"num_replicas", 1}};
    if (last_ != 0) {
      config["deliver_policy"] = "by_start_sequence";
      config["opt_start_seq"] = last_ + 1;
    }
    // The store's State must not own the task, but somebody must: the answer, and then the timer.
    api::call(*state->core, "CONSUMER.CREATE." + state->stream(), Json{{"stream_name", state->stream()}, {"config", config}},
              [self = shared_from_this(), generation](Result<Json> reply) {
                if (generation != self->generation_ || !self->done_) return;
                if (!reply) return self->fail(std::move(reply).error());
                // Nothing to come at all: the object was deleted since it was listed.
                if (self->received_ == 0 && api::number(*reply, "num_pending") == 0 && self->heard_ == SteadyTime()) {
                  return self->fail(make_error(Errc::not_found, "its chunks are not there: deleted meanwhile"));
                }
                self->heard_ = std::chrono::steady_clock::now();
                self->listen(generation);
              });
  }

  void listen(uint64_t generation) {
    const auto state = state_.lock();
    if (!state) return;
    state->core->after(kHeartbeatMs, [self = shared_from_this(), generation] {
      if (generation != self->generation_ || !self->done_) return;
      const auto store = self->state_.lock();
      if (!store) return;
      if (!store->core->connected()) return self->fail(not_connected(*store->core));
      if (std::chrono::steady_clock::now() - self->heard_ > std::chrono::milliseconds(kSilenceMs)) return self->consume();
      self->listen(generation);
    });
  }

  void arrived(Incoming& in) {
    heard_ = std::chrono::steady_clock::now();
    if (in.status >= 400) return consume();
    if (in.status != 0) return control(in);
    const auto position = api::parse_delivery(in.reply);
    if (!position || position->consumer_seq != next_) return consume();
    ++next_;
    if (position->stream_seq <= last_) return;
    last_ = position->stream_seq;
    restarts_ = 0;
    sha_.add(in.data);
    received_ += in.data.size();
    ++chunks_;
    if (chunks_ > object_.chunks || received_ > object_.size) return fail(make_error(Errc::corrupt, "it has more bytes than its description says"));
    for (std::string_view rest = in.data; !rest.empty();) {
      const ssize_t wrote = ::write(file_.get(), rest.data(), rest.size());
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) return fail(os_error("write " + path_));
      rest.remove_prefix(static_cast<size_t>(wrote));
    }
    if (progress_) progress_(received_, object_.size);
    if (chunks_ == object_.chunks) finish();
  }

  // Answered behind the chunks before it: that is what bounds the memory.
  void control(const Incoming& in) {
    const bool heartbeat = in.reply.empty();
    if (heartbeat && in.last_consumer + 1 != next_) return consume();
    const std::string& subject = heartbeat ? in.stalled : in.reply;
    const auto state = state_.lock();
    if (!state || subject.empty()) return;
    Outgoing answer;
    answer.subject = subject;
    (void)state->core->send(answer);  // not sent: the connection is gone, and listen() sees it
  }

  void finish() {
    if (!done_) return;
    if (received_ != object_.size) return fail(make_error(Errc::corrupt, "it has " + std::to_string(received_) + " bytes instead of " + std::to_string(object_.size)));
    if (!object_.digest.empty() && sha_.digest() != object_.digest) return fail(make_error(Errc::corrupt, "its SHA-256 digest does not match"));
    if (::fsync(file_.get()) != 0) return fail(os_error("fsync " + path_));
    file_.close();
    const auto self = shared_from_this();
    if (const auto state = state_.lock()) drop_consumer(*state);
    std::exchange(done_, nullptr)(ok());
  }

  void fail(Error error) {
    if (!done_) return;
    const auto self = shared_from_this();
    drop_file();
    if (const auto state = state_.lock()) drop_consumer(*state);
    std::exchange(done_, nullptr)(std::move(error).in("fetch " + object_.name));
  }

  void fail_later(Error error) {
    later(state_.lock(), [self = shared_from_this(), error = std::move(error)] { self->fail(error); });
  }

  void drop_file() {
    if (file_.get() < 0) return;
    file_.close();
    ::unlink(path_.c_str());
  }

  void drop_consumer(State& state) {
    ++generation_;
    if (subscription_ != 0) state.core->unsubscribe(std::exchange(subscription_, 0));
  }

  const std::weak_ptr<State> state_;
  const ObjectInfo object_;
  const std::string path_;
  const ObjectStore::Progress progress_;
  std::function<void(Status)> done_;
  File file_;
  Sha256 sha_;
  uint64_t received_ = 0, chunks_ = 0;
  uint64_t last_ = 0;        // stream sequence of the last chunk
  uint64_t next_ = 1;        // consumer sequence
  uint64_t generation_ = 0;
  uint64_t subscription_ = 0;
  int restarts_ = 0;
  SteadyTime heard_;
};

// -- list ---------------------------------------------------------------------------------------------------------------

class List : public std::enable_shared_from_this<List> {
 public:
  List(const std::shared_ptr<State>& state, std::function<void(Result<std::vector<ObjectInfo>>)> done)
      : state_(state), done_(std::move(done)) {}

  void start() {
    const auto state = state_.lock();
    api::read(*state->core, "STREAM.INFO." + state->stream(), Json{{"subjects_filter", "$O." + state->bucket.name + ".M.>"}},
              [self = shared_from_this()](Result<Json> info) {
                if (self->state_.expired()) return;
                if (!info && info.error().code == Errc::not_found) return self->done_(std::vector<ObjectInfo>());
                if (!info) return self->done_(std::move(info).error().in("list objects"));
                for (const auto& [subject, count] : api::object(api::object(*info, "state"), "subjects").items()) {
                  self->subjects_.push_back(subject);
                }
                self->next();
              });
  }

 private:
  void next() {
    const auto state = state_.lock();
    if (!state) return;
    if (subjects_.empty()) {
      std::sort(found_.begin(), found_.end(), [](const ObjectInfo& a, const ObjectInfo& b) { return a.name < b.name; });
      return done_(std::move(found_));
    }
    const std::string subject = std::move(subjects_.back());
    subjects_.pop_back();
    api::read(*state->core, "STREAM.MSG.GET." + state->stream(), Json{{"last_by_subj", subject}},
              [self = shared_from_this()](Result<Json> reply) {
                if (self->state_.expired()) return;
                if (!reply && reply.error().code != Errc::not_found) return self->done_(std::move(reply).error().in("list objects"));
                // What another program wrote there and is no object is none of ours.
                if (reply) {
                  if (auto info = info_of(*reply)) self->found_.push_back(*std::move(info));
                }
                self->next();
              });
  }

  const std::weak_ptr<State> state_;
  const std::function<void(Result<std::vector<ObjectInfo>>)> done_;
  std::vector<std::string> subjects_;
  std::vector<ObjectInfo> found_;
};

}  // namespace

ObjectStore::ObjectStore(std::shared_ptr<Core> core, Bucket bucket) : state_(std::make_shared<State>()) {
  state_->core = std::move(core);
  state_->bucket = std::move(bucket);
}

ObjectStore::~ObjectStore() = default;

const Bucket& ObjectStore::bucket() const { return state_->bucket; }

void ObjectStore::put(const std::string& path, const std::string& name, std::map<std::string, std::string> metadata,
                      Progress progress, std::function<void(Result<ObjectInfo>)> done) {
  std::make_shared<Put>(state_, path, std::move(progress), std::move(done))->start(name, std::move(metadata));
}

void ObjectStore::get(const ObjectInfo& object, const std::string& path, Progress progress, std::function<void(Status)> done) {
  std::make_shared<Get>(state_, object, path, std::move(progress), std::move(done))->start();
}

void ObjectStore::list(std::function<void(Result<std::vector<ObjectInfo>>)> done) {
  std::make_shared<List>(state_, std::move(done))->start();
}

void ObjectStore::remove(const std::string& name, std::function<void(Status)> done) {
  with_info(state_, name, [weak = std::weak_ptr(state_), name, done = std::move(done)](Result<ObjectInfo> info) {
    const auto state = weak.lock();
    if (!state) return;
    if (!info) return done(std::move(info).error().in("delete " + name));
    if (info->deleted) return done(make_error(Errc::not_found, "delete " + name + ": there is no such object"));
    const std::string chunks = state->chunk_subject(info->nuid);
    ObjectInfo mark = *info;
    mark.deleted = true;
    mark.size = mark.chunks = 0;
    const Status sent = store_meta(state, mark, [weak, name, chunks, done](Status stored) {
      const auto store = weak.lock();
      if (!store) return;
      if (!stored) return done(std::move(stored).error().in("delete " + name));
      purge(store, chunks, done);
    });
    if (!sent) done(Error(sent.error()).in("delete " + name));
  });
}

void ObjectStore::forget(const std::string& name, std::function<void(Status)> done) {
  purge(state_, state_->meta_subject(name), std::move(done));
}

}  // namespace marmot::agent::nats
