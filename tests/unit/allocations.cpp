#include "tests/unit/allocations.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<size_t> count{0};
std::atomic<size_t> largest{0};

void* counted(size_t size) {
  ++count;
  largest = std::max<size_t>(largest, size);
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(size_t size) { return counted(size); }
void* operator new[](size_t size) { return counted(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace marmot::test {

void reset_allocations() {
  count = 0;
  largest = 0;
}

Allocations allocations() { return {count, largest}; }

}  // namespace marmot::test
