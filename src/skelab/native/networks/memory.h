// Memory that vectors like: aligned to cache lines, and to huge pages where it is large.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace skelab {

constexpr size_t kCacheLine = 64, kHugePage = size_t(2) << 20;

// A fixed number of plain values, all zero at first. Some room follows, so that a vector that starts
// at the last value may be read.
template <class Value>
class AlignedArray {
public:
    AlignedArray() = default;
    explicit AlignedArray(size_t size) : size_(size) {
        const size_t alignment = size * sizeof(Value) < kHugePage ? kCacheLine : kHugePage;
        const size_t bytes = (size * sizeof(Value) + kCacheLine + alignment - 1) / alignment * alignment;
        data_.reset(static_cast<Value*>(std::aligned_alloc(alignment, bytes)));
        if (!data_) throw std::bad_alloc();
#if defined(__linux__)
        if (alignment == kHugePage) madvise(data_.get(), bytes, MADV_HUGEPAGE);  // or not: slower
#endif
        std::uninitialized_fill_n(reinterpret_cast<char*>(data_.get()), bytes, '\0');
    }

    Value* data() { return data_.get(); }
    const Value* data() const { return data_.get(); }
    size_t size() const { return size_; }
    const Value& operator[](size_t i) const { return data_.get()[i]; }
    Value& operator[](size_t i) { return data_.get()[i]; }

private:
    struct Free {
        void operator()(Value* value) const { std::free(value); }
    };
    std::unique_ptr<Value, Free> data_;
    size_t size_ = 0;
};

}  // namespace skelab
