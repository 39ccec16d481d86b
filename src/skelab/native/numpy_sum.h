// Sums of float32 as numpy adds up a row that lies in one piece: eight sums side by side, longer
// rows by halves. Whether such a sum is exactly zero decides if a frame counts.

#ifndef SKELAB_NUMPY_SUM_H
#define SKELAB_NUMPY_SUM_H

#include <cstddef>

namespace {

constexpr size_t kSumsSideBySide = 8;
constexpr size_t kLongestBlock = 128;

float numpy_sum(const float* values, size_t size) {
    if (size < kSumsSideBySide) {
        float sum = 0.0f;
        for (size_t i = 0; i < size; ++i) sum += values[i];
        return sum;
    }
    if (size > kLongestBlock) {
        const size_t half = size / 2 - size / 2 % kSumsSideBySide;
        return numpy_sum(values, half) + numpy_sum(values + half, size - half);
    }
    float sums[kSumsSideBySide];
    for (size_t lane = 0; lane < kSumsSideBySide; ++lane) sums[lane] = values[lane];
    const size_t whole = size - size % kSumsSideBySide;
    for (size_t i = kSumsSideBySide; i < whole; i += kSumsSideBySide) {
        for (size_t lane = 0; lane < kSumsSideBySide; ++lane) sums[lane] += values[i + lane];
    }
    float sum = ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
                ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    for (size_t i = whole; i < size; ++i) sum += values[i];
    return sum;
}

}  // namespace

#endif
