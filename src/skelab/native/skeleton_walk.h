// The walk along the text of an NTU RGB+D `.skeleton` file, at about the speed of a copy.
//
// Only plain files are read here: decimal numbers with single spaces between them, lines that end
// in LF or CRLF, and the structure that `skelab/data/skeleton_file.py` describes. Whatever else
// is met, right or wrong, the answer is None, and the reader in Python decides. So every file is
// read or refused as that reader does it, with its values and its words, by construction.
//
// 1. Marks: each 64 bytes become words of 64 bits that say where digits, points, signs, exponents
//    and separators stand. Which mark may follow which, and at most one point and one exponent
//    to a number, are checked on these words, for all fields, also those that are not kept.
// 2. Structure: counts, bodies of 10 fields, joints of 12 are walked line by line; of a joint
//    only x, y, z and the tracking state are converted.
//
// A number of at most 2^53 in digits, divided by a power of ten up to 10^22, is rounded once and
// so is what Python's float() gives; any other goes through Python's own conversion.

#ifndef SKELAB_SKELETON_WALK_H
#define SKELAB_SKELETON_WALK_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace {

constexpr int kJoints = 25;
constexpr int kCoordinates = kJoints * 3;
constexpr uint64_t kBodySpaces = 9;    // between 10 fields
constexpr uint64_t kJointSpaces = 11;  // between 12 fields
constexpr int kMaxBodies = 127;   // in one frame
constexpr size_t kMaxIds = 1000;  // in one file; searched one by one
constexpr size_t kMaxIdDigits = 40;
constexpr int kMaxCountDigits = 9;
constexpr size_t kLargest = size_t(1) << 30;      // bytes of a file
constexpr size_t kKeptBlocks = size_t(1) << 16;  // of scratch memory, from one file to the next

constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                              1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                              1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr uint64_t kWholePowers[] = {
    1u,        10u,        100u,        1000u,        10000u,           100000u,
    1000000u,  10000000u,  100000000u,  1000000000u,  10000000000u,     100000000000u,
    1000000000000u,        10000000000000u,           100000000000000u, 1000000000000000u,
    10000000000000000u};
constexpr uint64_t kExactIntegers = uint64_t(1) << 53;

// ---------------------------------------------------------------------------------------------
// Marks

// Where each kind of byte stands in 64 bytes of text; bit i is byte i.
struct Classes {
    uint64_t digit, point, sign, exponent, space, carriage, newline;
};

// What the walk along the lines needs of it.
struct Block {
    uint64_t space, newline;
    uint64_t inner;          // points and exponents
    uint64_t spaces_before;  // in all blocks before this one
};

// So that a step is compiled anew, with their instructions, into each function that takes it.
#define SKELAB_INLINE inline __attribute__((always_inline))

SKELAB_INLINE size_t lowest_one(uint64_t bits) { return size_t(__builtin_ctzll(bits)); }

SKELAB_INLINE uint64_t count_ones_by_sums(uint64_t bits) {
    bits -= (bits >> 1) & 0x5555555555555555u;
    bits = (bits & 0x3333333333333333u) + ((bits >> 2) & 0x3333333333333333u);
    bits = (bits + (bits >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
    return (bits * 0x0101010101010101u) >> 56;
}

#if defined(__SSE2__)

struct Sse2 {
    static uint64_t count_ones(uint64_t bits) { return count_ones_by_sums(bits); }

    static Classes classify(const char* text) {
        Classes found = {0, 0, 0, 0, 0, 0, 0};
        for (int part = 0; part < 4; ++part) {
            const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text) + part);
            const __m128i value = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));
            const __m128i digit = _mm_cmpeq_epi8(_mm_min_epu8(value, _mm_set1_epi8(9)), value);
            const __m128i lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
            found.digit |= bits(digit) << (16 * part);
            found.point |= equal(bytes, '.') << (16 * part);
            found.sign |= (equal(bytes, '-') | equal(bytes, '+')) << (16 * part);
            found.exponent |= equal(lower, 'e') << (16 * part);
            found.space |= equal(bytes, ' ') << (16 * part);
            found.carriage |= equal(bytes, '\r') << (16 * part);
            found.newline |= equal(bytes, '\n') << (16 * part);
        }
        return found;
    }

  private:
    static uint64_t bits(__m128i matches) { return uint32_t(_mm_movemask_epi8(matches)); }
    static uint64_t equal(__m128i bytes, char wanted) {
        return bits(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(wanted)));
    }
};
using Portable = Sse2;

#define SKELAB_AVX2 __attribute__((target("avx2,bmi,bmi2,popcnt")))

struct Avx2 {
    SKELAB_AVX2 static uint64_t count_ones(uint64_t bits) {
        return uint64_t(__builtin_popcountll(bits));
    }

    SKELAB_AVX2 static Classes classify(const char* text) {
        const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text));
        const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text) + 1);
        const __m256i blank = _mm256_set1_epi8(0x20);
        const __m256i low_lower = _mm256_or_si256(low, blank);
        const __m256i high_lower = _mm256_or_si256(high, blank);
        Classes found;
        found.digit = digits(low) | digits(high) << 32;
        found.point = equal(low, '.') | equal(high, '.') << 32;
        found.sign = (equal(low, '-') | equal(low, '+')) |
                     (equal(high, '-') | equal(high, '+')) << 32;
        found.exponent = equal(low_lower, 'e') | equal(high_lower, 'e') << 32;
        found.space = equal(low, ' ') | equal(high, ' ') << 32;
        found.carriage = equal(low, '\r') | equal(high, '\r') << 32;
        found.newline = equal(low, '\n') | equal(high, '\n') << 32;
        return found;
    }

  private:
    SKELAB_AVX2 static uint64_t bits(__m256i matches) {
        return uint32_t(_mm256_movemask_epi8(matches));
    }
    SKELAB_AVX2 static uint64_t equal(__m256i bytes, char wanted) {
        return bits(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(wanted)));
    }
    SKELAB_AVX2 static uint64_t digits(__m256i bytes) {
        const __m256i value = _mm256_sub_epi8(bytes, _mm256_set1_epi8('0'));
        const __m256i least = _mm256_min_epu8(value, _mm256_set1_epi8(9));
        return bits(_mm256_cmpeq_epi8(least, value));
    }
};

#define SKELAB_AVX512 __attribute__((target("avx512bw,bmi,bmi2,popcnt")))

struct Avx512 {
    SKELAB_AVX512 static uint64_t count_ones(uint64_t bits) {
        return uint64_t(__builtin_popcountll(bits));
    }

    SKELAB_AVX512 static Classes classify(const char* text) {
        const __m512i bytes = _mm512_loadu_si512(text);
        const __m512i lower = _mm512_or_si512(bytes, _mm512_set1_epi8(0x20));
        const __m512i value = _mm512_sub_epi8(bytes, _mm512_set1_epi8('0'));
        Classes found;
        found.digit = _mm512_cmplt_epu8_mask(value, _mm512_set1_epi8(10));
        found.point = equal(bytes, '.');
        found.sign = equal(bytes, '-') | equal(bytes, '+');
        found.exponent = equal(lower, 'e');
        found.space = equal(bytes, ' ');
        found.carriage = equal(bytes, '\r');
        found.newline = equal(bytes, '\n');
        return found;
    }

  private:
    SKELAB_AVX512 static uint64_t equal(__m512i bytes, char wanted) {
        return _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(wanted));
    }
};

#else

struct Portable {
    static uint64_t count_ones(uint64_t bits) { return count_ones_by_sums(bits); }

    static Classes classify(const char* text) {
        Classes found = {0, 0, 0, 0, 0, 0, 0};
        for (int i = 0; i < 64; ++i) {
            const char byte = text[i];
            found.digit |= uint64_t(byte >= '0' && byte <= '9') << i;
            found.point |= uint64_t(byte == '.') << i;
            found.sign |= uint64_t(byte == '-' || byte == '+') << i;
            found.exponent |= uint64_t(byte == 'e' || byte == 'E') << i;
            found.space |= uint64_t(byte == ' ') << i;
            found.carriage |= uint64_t(byte == '\r') << i;
            found.newline |= uint64_t(byte == '\n') << i;
        }
        return found;
    }
};

#endif

// Checks from block to block that the text is nothing but numbers and single separators.
class Grammar {
  public:
    // The bits of `valid` count; the others lie behind the end of the text.
    SKELAB_INLINE void check(const Classes& found, uint64_t valid) {
        const uint64_t field = found.digit | found.point | found.sign | found.exponent;
        const uint64_t known = field | found.space | found.carriage | found.newline;
        const uint64_t after_digit = behind(found.digit, digit_);
        const uint64_t after_point = behind(found.point, point_);
        const uint64_t after_exponent = behind(found.exponent, exponent_);
        const uint64_t after_carriage = behind(found.carriage, carriage_);
        const uint64_t after_break = behind(found.space | found.newline, break_);
        const uint64_t only_after_digit =
            found.point | found.exponent | found.space | found.carriage;
        uint64_t wrong = ~known;
        wrong |= only_after_digit & ~after_digit;
        wrong |= found.newline & ~(after_digit | after_carriage);
        wrong |= after_carriage & ~found.newline;
        wrong |= found.sign & ~(after_break | after_exponent);
        wrong |= found.point & rest_of_field(field, after_point, point_runs_);
        if (found.exponent | after_exponent | exponent_runs_) {  // rare
            wrong |= (found.point | found.exponent) &
                     rest_of_field(field, after_exponent, exponent_runs_);
        }
        wrong_ |= wrong & valid;
    }

    bool sound() const { return wrong_ == 0; }

  private:
    // The bits one place further on; the last one moves on to the next block.
    SKELAB_INLINE static uint64_t behind(uint64_t bits, uint64_t& last) {
        const uint64_t moved = (bits << 1) | last;
        last = bits >> 63;
        return moved;
    }

    // From each start to the end of its field: adding carries through the ones of the field.
    SKELAB_INLINE static uint64_t rest_of_field(uint64_t field, uint64_t starts, uint64_t& runs_on) {
        const uint64_t added = starts | runs_on;
        const uint64_t sum = field + added;
        runs_on = sum < field;
        return field & ~sum;
    }

    uint64_t wrong_ = 0;
    uint64_t digit_ = 0, point_ = 0, exponent_ = 0, carriage_ = 0;
    uint64_t break_ = 1;  // the text begins as if behind a line
    uint64_t point_runs_ = 0, exponent_runs_ = 0;
};

// Marks the text and a newline behind it; false where it is not only plain numbers.
template <class Instructions>
SKELAB_INLINE bool mark_with(const char* text, size_t size, Block* blocks) {
    const size_t count = size / 64 + 1;
    Grammar grammar;
    uint64_t spaces = 0;
    for (size_t number = 0; number + 1 < count; ++number) {
        const Classes found = Instructions::classify(text + 64 * number);
        grammar.check(found, ~uint64_t(0));
        blocks[number] = {found.space, found.newline, found.point | found.exponent, spaces};
        spaces += Instructions::count_ones(found.space);
        if ((number & 63) == 63 && !grammar.sound()) return false;
    }
    char rest[64];
    const size_t left = size % 64;
    std::memset(rest, '\n', sizeof rest);
    std::memcpy(rest, text + size - left, left);
    const Classes found = Instructions::classify(rest);
    grammar.check(found, ~uint64_t(0) >> (63 - left));
    blocks[count - 1] = {found.space, found.newline, found.point | found.exponent, spaces};
    blocks[count] = {0, ~uint64_t(0), 0, 0};
    return grammar.sound();
}

// As many blocks as there is room for, the first ones in use.
struct Marks {
    size_t capacity = 0;
    std::unique_ptr<Block[]> blocks;
};

void make_room(Marks& marks, size_t size) {
    const size_t needed = size / 64 + 2;
    if (needed <= marks.capacity) return;
    marks.capacity = 0;
    marks.blocks.reset(new Block[needed]);
    marks.capacity = needed;
}

// ---------------------------------------------------------------------------------------------
// Numbers

// The value of eight digits whose first is the lowest byte, each byte 0 to 9.
SKELAB_INLINE uint64_t eight_digits(uint64_t digits) {
    digits = digits * 10 + (digits >> 8);
    return (((digits & 0x000000FF000000FFu) * 0x000F424000000064u) +
            (((digits >> 16) & 0x000000FF000000FFu) * 0x0000271000000001u)) >>
           32;
}

SKELAB_INLINE uint64_t eight_bytes(const char* text) {
    uint64_t bytes;
    std::memcpy(&bytes, text, sizeof bytes);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bytes = __builtin_bswap64(bytes);
#endif
    return bytes;
}

// The value of 1 to 8 digits; eight bytes can be read from `text`.
SKELAB_INLINE uint64_t few_digits(const char* text, size_t size) {
    const uint64_t digits = eight_bytes(text) - 0x3030303030303030u;
    return eight_digits(digits << (64 - 8 * size));
}

// The value of 1 to 16 digits.
SKELAB_INLINE uint64_t whole_number(const char* text, size_t size) {
    if (size <= 8) return few_digits(text, size);
    return few_digits(text, size - 8) * 100000000u + few_digits(text + size - 8, 8);
}

// Any number as Python's float() reads it; false where it is not finite or there is no memory.
// Takes the interpreter's lock, which whoever calls may or may not hold.
bool any_number(const char* text, size_t size, double& value) {
    char copy[64];
    std::vector<char> longer;
    char* buffer = copy;
    if (size >= sizeof copy) {
        longer.resize(size + 1);
        buffer = longer.data();
    }
    std::memcpy(buffer, text, size);
    buffer[size] = '\0';
    const PyGILState_STATE lock = PyGILState_Ensure();
    value = PyOS_string_to_double(buffer, nullptr, nullptr);
    const bool failed = value == -1.0 && PyErr_Occurred();
    if (failed) PyErr_Clear();
    PyGILState_Release(lock);
    return !failed && std::isfinite(value);
}

// ---------------------------------------------------------------------------------------------
// Structure

struct Pose {
    int32_t frame;
    int32_t body;  // number of the id, in order of first appearance
    int8_t slot;
    int8_t tracking[kJoints];
};

struct Id {
    const char* text;
    size_t size;
    size_t poses;
    size_t place;  // of its next pose among all, sorted by id
};

struct Line {
    size_t start, end;  // the line ending does not count
    uint64_t spaces;
};

struct Scratch {
    std::vector<char> content;  // of a file, where it is read here
    Marks marks;
    std::vector<Pose> poses;
    std::vector<double> joints;
    std::vector<Id> ids;
    int32_t num_frames = 0;
};

template <class Instructions>
class Walk {
  public:
    // `size` is where the newline behind the last line stands.
    SKELAB_INLINE Walk(const char* text, size_t size, Scratch& scratch)
        : text_(text), size_(size), scratch_(scratch), blocks_(scratch.marks.blocks.get()) {
        scratch_.poses.clear();
        scratch_.joints.clear();
        scratch_.ids.clear();
    }

    // All frames; false where something is not plain.
    SKELAB_INLINE bool all() {
        if (!count(num_frames_)) return false;
        for (int32_t frame = 0; frame < num_frames_; ++frame) {
            int32_t bodies = 0;
            if (!count(bodies) || bodies > kMaxBodies) return false;
            for (int32_t slot = 0; slot < bodies; ++slot) {
                if (!body(frame, slot)) return false;
            }
        }
        return at_ == size_ + 1;
    }

    int32_t num_frames() const { return num_frames_; }

  private:
    // The next line; false at the end of the text.
    SKELAB_INLINE bool next(Line& line) {
        if (at_ > size_) return false;
        size_t block = at_ / 64;
        uint64_t newlines = blocks_[block].newline & (~uint64_t(0) << (at_ % 64));
        while (!newlines) newlines = blocks_[++block].newline;
        const int bit = __builtin_ctzll(newlines);
        const size_t newline = 64 * block + size_t(bit);
        const Block& last = blocks_[block];
        const uint64_t before = ~(~uint64_t(0) << bit);
        const uint64_t spaces = last.spaces_before + Instructions::count_ones(last.space & before);
        line.start = at_;
        line.end = newline - (newline > at_ && text_[newline - 1] == '\r');
        line.spaces = spaces - spaces_;
        at_ = newline + 1;
        spaces_ = spaces;
        return true;
    }

    // 64 bits of a kind of mark, from a place of the text on.
    SKELAB_INLINE uint64_t window(uint64_t Block::*kind, size_t start) const {
        const size_t block = start / 64, shift = start % 64;
        const uint64_t low = blocks_[block].*kind >> shift;
        return low | ((blocks_[block + 1].*kind << 1) << (63 - shift));
    }

    // A line that is one number of digits only.
    SKELAB_INLINE bool count(int32_t& value) {
        Line line;
        if (!next(line) || line.end - line.start > size_t(kMaxCountDigits)) return false;
        value = 0;
        for (size_t i = line.start; i < line.end; ++i) {
            const int digit = text_[i] - '0';
            if (digit < 0 || digit > 9) return false;
            value = 10 * value + digit;
        }
        return true;
    }

    SKELAB_INLINE bool body(int32_t frame, int32_t slot) {
        Line line;
        int32_t id = 0;
        if (!next(line) || line.spaces != kBodySpaces || !body_id(line.start, id)) return false;
        if (!next(line) || line.end - line.start != 2 || text_[line.start] != '2' ||
            text_[line.start + 1] != '5') {
            return false;
        }
        Pose pose;
        pose.frame = frame;
        pose.body = id;
        pose.slot = int8_t(slot);
        const size_t start = scratch_.joints.size();
        scratch_.joints.resize(start + kCoordinates);
        for (int joint = 0; joint < kJoints; ++joint) {
            double* position = scratch_.joints.data() + start + 3 * joint;
            if (!this->joint(position, pose.tracking[joint])) return false;
        }
        ++scratch_.ids[size_t(id)].poses;
        scratch_.poses.push_back(pose);
        return true;
    }

    SKELAB_INLINE bool body_id(size_t start, int32_t& number) {
        const char* text = text_ + start;
        size_t size = 0;
        while (text[size] >= '0' && text[size] <= '9') ++size;
        if (text[size] != ' ' || size > kMaxIdDigits) return false;
        std::vector<Id>& ids = scratch_.ids;
        for (size_t i = 0; i < ids.size(); ++i) {
            if (ids[i].size == size && !std::memcmp(ids[i].text, text, size)) {
                number = int32_t(i);
                return true;
            }
        }
        if (ids.size() == kMaxIds) return false;
        number = int32_t(ids.size());
        ids.push_back({text, size, 0, 0});
        return true;
    }

    SKELAB_INLINE bool joint(double* position, int8_t& tracking) {
        Line line;
        if (!next(line) || line.spaces != kJointSpaces) return false;
        const char state = text_[line.end - 1];
        if (text_[line.end - 2] != ' ' || state < '0' || state > '2') return false;
        tracking = int8_t(state - '0');
        size_t start = line.start;
        uint64_t ends = window(&Block::space, start);
        const uint64_t inner = window(&Block::inner, start);
        size_t offset = 0;  // of the number in the windows
        for (int axis = 0; axis < 3; ++axis) {
            if (!ends) return far_joint(line, position);
            const size_t end = size_t(__builtin_ctzll(ends));
            ends &= ends - 1;
            const uint64_t own = (~uint64_t(0) << offset) & ~(~uint64_t(0) << end);
            if (!number(start, offset, end, inner & own, position[axis])) return false;
            offset = end + 1;
        }
        return true;
    }

    // One number from `offset` to `end` behind `start`; behind it are eight bytes and more.
    SKELAB_INLINE bool number(size_t start, size_t offset, size_t end, uint64_t inner, double& value) const {
        const char* text = text_ + start;
        const uint64_t negative = text[offset] == '-';
        const size_t first = offset + size_t(negative);
        const size_t at = inner ? lowest_one(inner) : end;
        const size_t whole = at - first, decimals = end - at - (at < end);
        const bool unusual = (inner & (inner - 1)) != 0 || whole > 8 || decimals - 1 > 15 ||
                             text[at] != '.' || text[offset] == '+';
        if (unusual) return any_number(text + offset, end - offset, value);
        uint64_t digits = whole == 1 ? uint64_t(text[first] - '0') : few_digits(text + first, whole);
        digits = digits * kWholePowers[decimals] + whole_number(text + at + 1, decimals);
        if (whole + decimals > 19 || digits > kExactIntegers) {
            return any_number(text + offset, end - offset, value);
        }
        const double size = double(int64_t(digits)) / kPowers[decimals];
        uint64_t bits;
        std::memcpy(&bits, &size, sizeof bits);
        bits |= negative << 63;
        std::memcpy(&value, &bits, sizeof bits);
        return true;
    }

    // A joint whose x, y and z take more than 64 bytes.
    bool far_joint(const Line& line, double* position) const {
        size_t start = line.start;
        for (int axis = 0; axis < 3; ++axis) {
            size_t end = start;
            while (text_[end] != ' ') ++end;
            if (!any_number(text_ + start, end - start, position[axis])) return false;
            start = end + 1;
        }
        return true;
    }

    const char* text_;
    size_t size_;
    Scratch& scratch_;
    const Block* blocks_;
    size_t at_ = 0;        // start of the next line
    uint64_t spaces_ = 0;  // before it
    int32_t num_frames_ = 0;
};

template <class Instructions>
SKELAB_INLINE bool walk_with(const char* text, size_t size, Scratch& scratch) {
    if (!mark_with<Instructions>(text, size, scratch.marks.blocks.get())) return false;
    Walk<Instructions> walk(text, size, scratch);
    if (!walk.all() || scratch.poses.empty()) return false;
    scratch.num_frames = walk.num_frames();
    return true;
}

#if defined(SKELAB_AVX2)
SKELAB_AVX2 bool walk_with_avx2(const char* text, size_t size, Scratch& scratch) {
    return walk_with<Avx2>(text, size, scratch);
}

SKELAB_AVX512 bool walk_with_avx512(const char* text, size_t size, Scratch& scratch) {
    return walk_with<Avx512>(text, size, scratch);
}
#endif

bool walk_portably(const char* text, size_t size, Scratch& scratch) {
    return walk_with<Portable>(text, size, scratch);
}

using WalkFunction = bool (*)(const char*, size_t, Scratch&);

// The quickest that this processor has.
WalkFunction best_walk() {
#if defined(SKELAB_AVX2)
    const bool has_bits = __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                          __builtin_cpu_supports("popcnt");
    if (has_bits && __builtin_cpu_supports("avx512bw")) return walk_with_avx512;
    if (has_bits && __builtin_cpu_supports("avx2")) return walk_with_avx2;
#endif
    return walk_portably;
}

// Leaves all poses of a plain file in the scratch memory; false for any other file.
bool read_plain(const char* text, size_t size, Scratch& scratch) {
    static const WalkFunction walk = best_walk();
    while (size && (text[size - 1] == '\n' || text[size - 1] == '\r')) --size;
    if (!size || size > kLargest) return false;
    make_room(scratch.marks, size);
    return walk(text, size, scratch);
}

// Scratch memory of this thread, kept from one file to the next unless a file was huge. It is
// taken out of its place while it is in use: whatever runs meanwhile finds another.
class KeptScratch {
  public:
    KeptScratch() { std::swap(own_, kept()); }
    ~KeptScratch() {
        if (own_.marks.capacity <= kKeptBlocks) std::swap(own_, kept());
    }
    KeptScratch(const KeptScratch&) = delete;
    KeptScratch& operator=(const KeptScratch&) = delete;

    Scratch& operator*() { return own_; }

  private:
    static Scratch& kept() {
        static thread_local Scratch scratch;
        return scratch;
    }

    Scratch own_;
};

}  // namespace

#endif
