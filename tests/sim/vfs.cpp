// The SQLite VFS over Disks.
#include <sqlite3.h>

#include <algorithm>
#include <cstring>

#include "tests/sim/disk.hpp"

namespace marmot::sim {

namespace {

Disks* disks = nullptr;  // SQLite's VFS has no other way to it
constexpr int kShmSlots = 8;
constexpr int kFirstReadMark = 3;

struct Handle {
  sqlite3_file base;  // first: SQLite sees only this
  struct State;
  State* state;
};

struct Handle::State {
  Machine* machine = nullptr;
  std::shared_ptr<Life> life;
  std::shared_ptr<File> file;
  std::string path;
  bool delete_on_close = false;
  int lock = SQLITE_LOCK_NONE;
  int shm_shared = 0, shm_exclusive = 0;  // masks
};

Handle::State& state_of(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file)->state; }

// Every operation passes here: faults strike before it has an effect.
int before(Handle::State& handle, int error_code) {
  if (handle.life->dead) return error_code;
  if (handle.life->process == Process::checker) return SQLITE_OK;
  Machine& machine = *handle.machine;
  DiskFaults& faults = machine.faults;
  if (faults.stop_after >= 0 && (faults.stop_all || handle.life->process == faults.stops) && faults.stop_after-- == 0) {
    machine.stopped = true;
    for (const Process process : {Process::app, Process::agent}) {
      if (faults.stop_all || process == faults.stops) machine.life(process)->dead = true;
    }
    return error_code;
  }
  if (faults.fail_after >= 0 && handle.life->process == faults.fails && faults.fail_after-- == 0) {
    faults.fail_after = DiskFaults::kFailed;
    return error_code;
  }
  if (faults.error_per_mille > 0 && machine.random.per_mille(faults.error_per_mille)) return error_code;
  return SQLITE_OK;
}

void unlock_to(Handle::State& handle, int level) {
  File& file = *handle.file;
  if (level < SQLITE_LOCK_RESERVED && file.reserved == &handle) file.reserved = nullptr;
  if (level < SQLITE_LOCK_PENDING && file.pending == &handle) file.pending = nullptr;
  if (handle.lock == SQLITE_LOCK_EXCLUSIVE && level < SQLITE_LOCK_EXCLUSIVE) file.exclusive = false;
  if (handle.lock >= SQLITE_LOCK_SHARED && level < SQLITE_LOCK_SHARED) --file.shared;
  handle.lock = std::min(handle.lock, level);
}

void forget_shm_locks(Handle::State& handle) {
  for (int i = 0; i < kShmSlots; ++i) {
    const auto slot = static_cast<size_t>(i);
    if ((handle.shm_shared & (1 << i)) != 0) --handle.file->shm_locks.shared[slot];
    if ((handle.shm_exclusive & (1 << i)) != 0) --handle.file->shm_locks.exclusive[slot];
  }
  handle.shm_shared = handle.shm_exclusive = 0;
  std::erase_if(handle.file->shm_readers, [&](const auto& reader) { return reader.first == &handle; });
}

int x_close(sqlite3_file* opened) {
  Handle* const handle = reinterpret_cast<Handle*>(opened);
  Handle::State& state = *handle->state;
  forget_shm_locks(state);
  unlock_to(state, SQLITE_LOCK_NONE);
  if (state.delete_on_close && !state.life->dead && !state.path.empty()) state.machine->files.erase(state.path);
  delete handle->state;
  return SQLITE_OK;
}

int x_read(sqlite3_file* opened, void* out, int size, sqlite3_int64 at) {
  Handle::State& handle = state_of(opened);
  if (const int rc = before(handle, SQLITE_IOERR_READ); rc != SQLITE_OK) return rc;
  const std::string& data = handle.file->data;
  const auto offset = static_cast<size_t>(at), wanted = static_cast<size_t>(size);
  const size_t there = offset >= data.size() ? 0 : std::min(wanted, data.size() - offset);
  std::memcpy(out, data.data() + std::min(offset, data.size()), there);
  if (there == wanted) return SQLITE_OK;
  std::memset(static_cast<char*>(out) + there, 0, wanted - there);
  return SQLITE_IOERR_SHORT_READ;
}

int x_write(sqlite3_file* opened, const void* bytes, int size, sqlite3_int64 at) {
  Handle::State& handle = state_of(opened);
  if (const int rc = before(handle, SQLITE_IOERR_WRITE); rc != SQLITE_OK) return rc;
  const auto offset = static_cast<size_t>(at), length = static_cast<size_t>(size);
  int64_t& room = handle.machine->faults.room;
  const auto growth = static_cast<int64_t>(offset + length) - static_cast<int64_t>(handle.file->data.size());
  if (growth > 0 && room >= 0 && handle.life->process != Process::checker) {
    if (growth > room) return SQLITE_FULL;
    room -= growth;
  }
  handle.file->write(offset, static_cast<const char*>(bytes), length);
  return SQLITE_OK;
}

int x_truncate(sqlite3_file* opened, sqlite3_int64 size) {
  Handle::State& handle = state_of(opened);
  if (const int rc = before(handle, SQLITE_IOERR_TRUNCATE); rc != SQLITE_OK) return rc;
  handle.file->truncate(static_cast<size_t>(size));
  return SQLITE_OK;
}

int x_sync(sqlite3_file* opened, int) {
  Handle::State& handle = state_of(opened);
  if (const int rc = before(handle, SQLITE_IOERR_FSYNC); rc != SQLITE_OK) return rc;
  handle.file->sync();
  return SQLITE_OK;
}

int x_file_size(sqlite3_file* opened, sqlite3_int64* size) {
  *size = static_cast<sqlite3_int64>(state_of(opened).file->data.size());
  return SQLITE_OK;
}

int x_lock(sqlite3_file* opened, int level) {
  Handle::State& handle = state_of(opened);
  if (handle.life->dead) return SQLITE_IOERR_LOCK;
  File& file = *handle.file;
  if (handle.lock >= level) return SQLITE_OK;
  const bool others_pending = file.pending != nullptr && file.pending != &handle;
  if (handle.lock == SQLITE_LOCK_NONE) {
    if (others_pending || file.exclusive) return SQLITE_BUSY;
    ++file.shared;
    handle.lock = SQLITE_LOCK_SHARED;
  }
  if (level == SQLITE_LOCK_SHARED) return SQLITE_OK;
  if (others_pending || (file.reserved != nullptr && file.reserved != &handle)) return SQLITE_BUSY;
  if (level == SQLITE_LOCK_RESERVED) {
    file.reserved = &handle;
    handle.lock = level;
    return SQLITE_OK;
  }
  file.pending = &handle;
  handle.lock = SQLITE_LOCK_PENDING;
  if (file.shared > 1) return SQLITE_BUSY;
  file.exclusive = true;
  handle.lock = SQLITE_LOCK_EXCLUSIVE;
  return SQLITE_OK;
}

int x_unlock(sqlite3_file* opened, int level) {
  unlock_to(state_of(opened), level);
  return SQLITE_OK;
}

int x_check_reserved(sqlite3_file* opened, int* out) {
  *out = state_of(opened).file->reserved != nullptr ? 1 : 0;
  return SQLITE_OK;
}

int x_file_control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int x_sector_size(sqlite3_file*) { return 4096; }
int x_device(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

int x_shm_map(sqlite3_file* opened, int page, int size, int extend, void volatile** out) {
  Handle::State& handle = state_of(opened);
  *out = nullptr;
  if (handle.life->dead) return SQLITE_IOERR_SHMMAP;
  auto& shm = handle.file->shm;
  const auto index = static_cast<size_t>(page);
  if (index >= shm.size() && extend == 0) return SQLITE_OK;
  while (shm.size() <= index) shm.push_back(std::make_unique<char[]>(static_cast<size_t>(size)));
  *out = shm[index].get();
  return SQLITE_OK;
}

int x_shm_lock(sqlite3_file* opened, int offset, int n, int flags) {
  Handle::State& handle = state_of(opened);
  File& file = *handle.file;
  const int mask = ((1 << n) - 1) << offset;
  const bool shared = (flags & SQLITE_SHM_SHARED) != 0;
  if ((flags & SQLITE_SHM_UNLOCK) != 0) {
    int& held = shared ? handle.shm_shared : handle.shm_exclusive;
    auto& holders = shared ? file.shm_locks.shared : file.shm_locks.exclusive;
    for (int i = offset; i < offset + n; ++i) {
      if ((held & (1 << i)) != 0) --holders[static_cast<size_t>(i)];
    }
    held &= ~mask;
  } else {
    if (handle.life->dead) return SQLITE_IOERR_SHMLOCK;
    for (int i = offset; i < offset + n; ++i) {
      const auto slot = static_cast<size_t>(i);
      const int own_shared = (handle.shm_shared >> i) & 1, own_exclusive = (handle.shm_exclusive >> i) & 1;
      if (file.shm_locks.exclusive[slot] > own_exclusive) return SQLITE_BUSY;
      if (!shared && file.shm_locks.shared[slot] > own_shared) return SQLITE_BUSY;
    }
    int& held = shared ? handle.shm_shared : handle.shm_exclusive;
    for (int i = offset; i < offset + n; ++i) {
      if ((held & (1 << i)) == 0) ++(shared ? file.shm_locks.shared : file.shm_locks.exclusive)[static_cast<size_t>(i)];
    }
    held |= mask;
  }
  std::erase_if(file.shm_readers, [&](const auto& reader) { return reader.first == &handle; });
  if ((handle.shm_shared >> kFirstReadMark) != 0) file.shm_readers.emplace_back(&handle, handle.life->process);
  return SQLITE_OK;
}

void x_shm_barrier(sqlite3_file*) {}

int x_shm_unmap(sqlite3_file* opened, int remove) {
  Handle::State& handle = state_of(opened);
  forget_shm_locks(handle);
  if (remove != 0 && !handle.life->dead) handle.file->shm.clear();
  return SQLITE_OK;
}

const sqlite3_io_methods kMethods = {2, x_close, x_read, x_write, x_truncate, x_sync, x_file_size, x_lock, x_unlock,
                                     x_check_reserved, x_file_control, x_sector_size, x_device, x_shm_map, x_shm_lock,
                                     x_shm_barrier, x_shm_unmap, nullptr, nullptr};

int x_open(sqlite3_vfs*, const char* name, sqlite3_file* opened, int flags, int* out_flags) {
  Handle* const handle = reinterpret_cast<Handle*>(opened);
  handle->base.pMethods = nullptr;
  Machine& machine = name == nullptr ? disks->current() : disks->by_path(name);
  const auto life = machine.life(disks->process());
  if (life->dead) return SQLITE_CANTOPEN;
  auto state = std::make_unique<Handle::State>();
  state->machine = &machine;
  state->life = life;
  if (name == nullptr) {
    state->file = std::make_shared<File>();
  } else {
    state->path = name;
    auto& file = machine.files[state->path];
    if (!file && (flags & SQLITE_OPEN_CREATE) == 0) {
      machine.files.erase(state->path);
      return SQLITE_CANTOPEN;
    }
    if (!file) file = std::make_shared<File>();
    if (file->inode == 0) file->inode = disks->next_inode();
    state->file = file;
  }
  state->delete_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
  handle->state = state.release();
  handle->base.pMethods = &kMethods;
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}

int x_delete(sqlite3_vfs*, const char* name, int) {
  Machine& machine = disks->by_path(name);
  const auto& life = machine.lives[static_cast<size_t>(disks->process())];
  if (life && life->dead) return SQLITE_IOERR_DELETE;
  return machine.files.erase(name) != 0 ? SQLITE_OK : SQLITE_IOERR_DELETE_NOENT;
}

int x_access(sqlite3_vfs*, const char* name, int, int* out) {
  const Machine& machine = disks->by_path(name);
  const auto file = machine.files.find(name);
  // As unix does it: an empty journal does not exist.
  *out = file != machine.files.end() && !file->second->data.empty() ? 1 : 0;
  return SQLITE_OK;
}

int x_full_path(sqlite3_vfs*, const char* name, int size, char* out) {
  sqlite3_snprintf(size, out, "%s", name);
  return SQLITE_OK;
}

int x_randomness(sqlite3_vfs*, int size, char* out) {
  for (int i = 0; i < size; ++i) out[i] = static_cast<char>(disks->current().random.next());
  return size;
}

int x_sleep(sqlite3_vfs*, int us) { return us; }

int x_now_ms(sqlite3_vfs*, sqlite3_int64* out) {
  constexpr sqlite3_int64 kUnixEpoch = 210866760000000;  // Julian day 2440587.5 in milliseconds
  *out = kUnixEpoch + disks->current().now_ms();
  return SQLITE_OK;
}

int x_now(sqlite3_vfs* vfs, double* out) {
  sqlite3_int64 ms = 0;
  x_now_ms(vfs, &ms);
  *out = static_cast<double>(ms) / 86400000.0;
  return SQLITE_OK;
}

int x_last_error(sqlite3_vfs*, int, char*) { return 0; }

sqlite3_vfs vfs = {2, sizeof(Handle), 256, nullptr, "marmot-sim", nullptr, x_open, x_delete, x_access, x_full_path,
                   nullptr, nullptr, nullptr, nullptr, x_randomness, x_sleep, x_now, x_last_error, x_now_ms, nullptr,
                   nullptr, nullptr};

}  // namespace

Disks::Disks() {
  disks = this;
  sqlite3_vfs_register(&vfs, 1);
  sqlite3_randomness(0, nullptr);  // its generator is seeded once in a process, from x_randomness
}

Disks::~Disks() {
  sqlite3_vfs_unregister(&vfs);
  disks = nullptr;
}

}  // namespace marmot::sim
