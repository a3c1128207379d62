#include "tests/sim/disk.hpp"

#include <algorithm>

namespace marmot::sim {

void File::write(size_t at, const char* bytes, size_t size) {
  if (data.size() < at + size) data.resize(at + size);
  data.replace(at, size, bytes, size);
  unsynced.push_back(Unsynced{false, at, std::string(bytes, size)});
}

void File::truncate(size_t size) {
  if (data.size() <= size) return;
  data.resize(size);
  unsynced.push_back(Unsynced{true, size, {}});
}

namespace {
void replay(std::string& data, const File::Unsynced& change) {
  if (change.truncate) {
    if (data.size() > change.at) data.resize(change.at);
    return;
  }
  if (data.size() < change.at + change.bytes.size()) data.resize(change.at + change.bytes.size());
  data.replace(change.at, change.bytes.size(), change.bytes);
}
}  // namespace

void File::sync() {
  for (const Unsynced& change : unsynced) replay(durable, change);
  unsynced.clear();
}

// The disk writes what it has in any order, sector by sector: nothing, a beginning, everything, or any part of it.
void File::power_cut(Random& random) {
  constexpr size_t kSector = 512;
  const uint64_t manner = random.below(4);
  const size_t whole = manner == 0 ? 0 : manner == 1 ? random.below(unsynced.size() + 1) : unsynced.size();
  for (size_t i = 0; i < whole; ++i) {
    if (manner != 3 || unsynced[i].truncate) {
      if (manner != 3 || random.per_mille(500)) replay(durable, unsynced[i]);
      continue;
    }
    if (random.per_mille(300)) continue;
    for (size_t at = 0; at < unsynced[i].bytes.size();) {
      const size_t size = std::min(kSector - (unsynced[i].at + at) % kSector, unsynced[i].bytes.size() - at);
      if (random.per_mille(800)) replay(durable, Unsynced{false, unsynced[i].at + at, unsynced[i].bytes.substr(at, size)});
      at += size;
    }
  }
  unsynced.clear();
  data = durable;
}

const std::shared_ptr<Life>& Machine::life(Process process) {
  auto& life = lives[static_cast<size_t>(process)];
  if (!life) {
    life = std::make_shared<Life>();
    life->process = process;
  }
  return life;
}

void Machine::kill(Process process) {
  auto& life = lives[static_cast<size_t>(process)];
  if (life) life->dead = true;
  life.reset();
}

void Machine::power_cut() {
  for (auto& [path, file] : files) {
    file->power_cut(random);
    file->shm.clear();
    file->shm_locks = {};
    file->shm_readers.clear();
    file->shared = 0;
    file->reserved = file->pending = nullptr;
    file->exclusive = false;
  }
}

void Machine::copy(const std::string& from, const std::string& to, bool new_inode) {
  const auto& source = files.at(from);
  auto& target = files[to];
  const uint64_t inode = target && !new_inode ? target->inode : 0;
  target = std::make_shared<File>();
  target->data = target->durable = source->data;
  target->inode = inode;  // 0: given when it is opened
}

void Machine::put(const std::string& path, const std::string& bytes) {
  files[path] = std::make_shared<File>();
  files[path]->data = files[path]->durable = bytes;
}

void Machine::move(const std::string& from, const std::string& to) {
  files[to] = files.at(from);
  files.erase(from);
}

void Machine::remove(const std::string& path) { files.erase(path); }

bool Machine::others_reading(const std::string& path, Process process) const {
  const auto file = files.find(path);
  if (file == files.end()) return false;
  return std::any_of(file->second->shm_readers.begin(), file->second->shm_readers.end(),
                     [&](const auto& reader) { return reader.second != process; });
}

Machine& Disks::add(int id, uint64_t seed) {
  auto& machine = machines_[id];
  machine = std::make_unique<Machine>(seed);
  return *machine;
}

void Disks::enter(int machine, Process process) {
  current_ = machine;
  process_ = process;
}

Enter::Enter(Disks& disks, int machine, Process process) : disks_(disks), machine_(disks.current_), process_(disks.process_) {
  disks.enter(machine, process);
}

Enter::~Enter() { disks_.enter(machine_, process_); }

}  // namespace marmot::sim
