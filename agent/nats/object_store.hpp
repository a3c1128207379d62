// An object store in JetStream, laid out as NATS ADR-20 says (https://github.com/nats-io/nats-architecture-and-design),
// so that every NATS client reads it. nats.c 3.4 has none; this stands on plain streams.
//
//   stream OBJ_<bucket>          discard new, rollup allowed
//   $O.<bucket>.C.<nuid>         the object's chunks, in order, 128 KiB each but the last
//   $O.<bucket>.M.<base64url of the name>    one message with header Nats-Rollup: sub, JSON:
//       {"name","bucket","nuid","size","chunks","digest":"SHA-256=<base64url>","metadata":{},"options":{"max_chunk_size":N}}
//       a deleted object: the same with "deleted":true, size 0, no digest; its chunks are purged
//
// Asynchronous on the loop thread, like Connection; files are read and written there, one chunk at a time. Memory: a put
// has at most 16 chunks in flight, a get at most the server's flow control window (32 MB).
//
// Failure. As Connection. An object exists once its meta message is stored, so a put that failed half-way leaves the former
// object of that name as it was; its chunks are purged if the server can be reached. A get that failed leaves no file.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/ids.hpp"
#include "common/base/result.hpp"

namespace marmot::agent::nats {

class Core;

inline constexpr size_t kObjectChunk = 128 * 1024;

struct Bucket {
  std::string name;  // [A-Za-z0-9_-]+
  std::string description;
  int replicas = 1;
};

struct ObjectInfo {
  std::string name;
  std::string nuid;    // of its chunks
  std::string digest;  // "SHA-256=..."
  uint64_t size = 0, chunks = 0;
  WallMs modified_ms = 0;
  bool deleted = false;  // only this mark is left
  std::map<std::string, std::string> metadata;
};

class ObjectStore {
 public:
  using Progress = std::function<void(uint64_t done, uint64_t total)>;  // bytes; may be empty

  ObjectStore(std::shared_ptr<Core> core, Bucket bucket);
  // No callback runs afterwards. What was under way is given up.
  ~ObjectStore();
  ObjectStore(const ObjectStore&) = delete;
  ObjectStore& operator=(const ObjectStore&) = delete;

  const Bucket& bucket() const;

  // Stores the file under `name`, in place of an object of that name. Makes the bucket where it is missing.
  // Errc::io: the file cannot be read. Errc::full: the server's limits are reached.
  void put(const std::string& path, const std::string& name, std::map<std::string, std::string> metadata, Progress progress,
           std::function<void(Result<ObjectInfo>)> done);

  // Writes the object to a new file at `path`, fsynced. Errc::corrupt: digest, size or number of chunks do not match.
  // Errc::not_found: its chunks are gone (deleted meanwhile).
  void get(const ObjectInfo& object, const std::string& path, Progress progress, std::function<void(Status)> done);

  // All objects, by name; marks of deleted ones too. No bucket: none.
  void list(std::function<void(Result<std::vector<ObjectInfo>>)> done);

  // Marks it as deleted, then purges its chunks. Errc::not_found: there is no such object.
  void remove(const std::string& name, std::function<void(Status)> done);

  // Purges the mark of a deleted object.
  void forget(const std::string& name, std::function<void(Status)> done);

  struct State;  // object_store.cpp

 private:
  std::shared_ptr<State> state_;
};

}  // namespace marmot::agent::nats
