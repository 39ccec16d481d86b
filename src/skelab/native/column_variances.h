// The variance of each column of a table of float32, rounded step by step as numpy does it.
//
// The twin is `np.var(rows, axis=0)`: numpy adds along the first axis one row after the other, in
// float32. Needs `-ffp-contract=off`.

#ifndef SKELAB_COLUMN_VARIANCES_H
#define SKELAB_COLUMN_VARIANCES_H

#include <cstddef>

namespace {

constexpr int kColumns = 3;

void column_variances(const float* rows, size_t count, float* answer) {
    const float number = float(count);
    float means[kColumns] = {0, 0, 0}, sums[kColumns] = {0, 0, 0};
    for (size_t i = 0; i < count; ++i) {
        for (int column = 0; column < kColumns; ++column) {
            means[column] += rows[i * kColumns + column];
        }
    }
    for (float& mean : means) mean /= number;
    for (size_t i = 0; i < count; ++i) {
        for (int column = 0; column < kColumns; ++column) {
            const float distance = rows[i * kColumns + column] - means[column];
            sums[column] += distance * distance;
        }
    }
    for (int column = 0; column < kColumns; ++column) answer[column] = sums[column] / number;
}

}  // namespace

#endif
