// Steps that every family has: input, convolutions, maxima over time, means.
#pragma once

#include "program.h"

namespace skelab {

// Channels of a tensor: some of its lanes.
struct Part {
    int tensor;
    int lane;
};

template <class Number>
Number* part_of(const Body<Number>& body, Part part) {
    return body[part.tensor] + part.lane;
}

template <class Number>
void check_part(const Program<Number>& program, Part part, int lanes) {
    if (part.lane < 0 || part.lane % kLanes || part.lane + lanes > program.spec(part.tensor).lanes)
        throw std::invalid_argument("program: lanes that a tensor does not have");
}

// Factor and offset of each channel, as batch norm has them.
struct Affine {
    AlignedArray<float> factor, offset;
};

// The joints of a body, normalised: from C T V M in memory to frames x joints x lanes.
template <class Number>
class Input : public Step<Number> {
public:
    Input(Program<Number>& program, int tensor, Affine norm)  // of each body, joint and channel
        : tensor_(tensor), norm_(std::move(norm)) {
        const size_t per_body = size_t(program.joints()) * program.channels();
        if (program.spec(tensor).lanes < program.channels() || program.spec(tensor).stride != 1 ||
            norm_.factor.size() % per_body || norm_.factor.size() != norm_.offset.size())
            throw std::invalid_argument("input: the normalisation does not fit the joints");
    }

    void run(const Body<Number>& body) const override {
        const Clips& clips = body.clips;
        const long lanes = body.lanes(tensor_), joints = body.joints(), apart = clips.bodies;
        const long per_body = joints * clips.channels;
        const long first = body.row % clips.bodies * per_body % long(norm_.factor.size());
        const float *from = clips.body(body.row), *factor = norm_.factor.data() + first,
                    *offset = norm_.offset.data() + first;
        Number* to = body[tensor_];
        for (long t = 0; t < clips.frames; ++t)
            for (long v = 0; v < joints; ++v, to += lanes) {
                for (long c = 0; c < clips.channels; ++c) {
                    const float x = from[((c * clips.frames + t) * joints + v) * apart];
                    const long k = v * clips.channels + c;
                    to[c] = rounded<Number>(x * factor[k] + offset[k]);
                }
                std::fill(to + clips.channels, to + lanes, Number{});
            }
    }

private:
    int tensor_;
    Affine norm_;
};

// Zeros before the first frame of a tensor and after its last.
template <class Number>
class ClearHalo : public Step<Number> {
public:
    ClearHalo(Program<Number>& program, int tensor)
        : tensor_(tensor), halo_(program.spec(tensor).halo) {}

    void run(const Body<Number>& body) const override {
        const long size = halo_ * body.frame_size(tensor_);
        Number *start = body[tensor_], *end = start + body.frames(tensor_) * body.frame_size(tensor_);
        std::fill(start - size, start, Number{});
        std::fill(end, end + size, Number{});
    }

private:
    int tensor_;
    long halo_;
};

// What comes after the sums of a step: `residual` and ReLU, if any.
struct Epilogue {
    Part residual;  // tensor -1: none
    bool rectify;

    template <class Number>
    const Number* residual_of(const Body<Number>& body) const {
        return residual.tensor < 0 ? nullptr : part_of(body, residual);
    }

    template <class Number>
    void check(const Program<Number>& program, int to, int lanes) const {
        if (residual.tensor < 0) return;
        check_part(program, residual, lanes);
        if (program.spec(residual.tensor).stride != program.spec(to).stride)
            throw std::invalid_argument("program: a residual of other frames");
    }
};

// A convolution over time, also of one tap, with bias; frames beyond the clip are zeros.
template <class Number>
class Convolution : public Step<Number> {
public:
    Convolution(Program<Number>& program, Part from, Part to, int dilation, Epilogue epilogue,
                Weights<Number> weights, AlignedArray<float> bias)
        : from_(from), to_(to), dilation_(dilation), epilogue_(epilogue),
          weights_(std::move(weights)), bias_(std::move(bias)) {
        check_part(program, from, weights_.depth());
        check_part(program, to, weights_.columns());
        epilogue_.check(program, to.tensor, weights_.columns());
        const TensorSpec &in = program.spec(from.tensor), &out = program.spec(to.tensor);
        stride_ = out.stride / in.stride;
        before_ = (weights_.taps() - 1) * dilation / 2;
        if (out.stride % in.stride || dilation < 1 || in.halo < before_ ||
            int(bias_.size()) != weights_.columns())
            throw std::invalid_argument("convolution: weights that do not fit its tensors");
    }

    void run(const Body<Number>& body) const override {
        const long frames = body.frames(to_.tensor), joints = body.joints();
        const long in_size = body.frame_size(from_.tensor), out_size = body.frame_size(to_.tensor);
        const bool dense = stride_ == 1;  // all rows are equally far apart
        Product<Number, Number> p{};
        p.rows = dense ? frames * joints : joints;
        p.columns = weights_.columns();
        p.a_row = body.lanes(from_.tensor);
        p.depth = weights_.depth();
        p.taps = weights_.taps();
        p.a_tap = dilation_ * in_size;
        p.b = weights_.right();
        p.bias = bias_.data();
        p.c_row = body.lanes(to_.tensor);
        p.rectify = epilogue_.rectify;
        const Number* residual = epilogue_.residual_of(body);
        const long residual_size = residual ? body.frame_size(epilogue_.residual.tensor) : 0;
        if (residual) p.residual_row = body.lanes(epilogue_.residual.tensor);
        for (long t = 0; t < (dense ? 1 : frames); ++t) {
            p.a = part_of(body, from_) + (t * stride_ - before_) * in_size;
            p.c = part_of(body, to_) + t * out_size;
            p.residual = residual ? residual + t * residual_size : nullptr;
            multiply(p);
        }
    }

private:
    Part from_, to_;
    long dilation_, stride_, before_;
    Epilogue epilogue_;
    Weights<Number> weights_;
    AlignedArray<float> bias_;
};

// The maximum of each frame and its neighbours, times a factor, plus an offset.
template <class Number>
class MaxOverTime : public Step<Number> {
public:
    MaxOverTime(Program<Number>& program, Part from, Part to, Epilogue epilogue, Affine norm)
        : from_(from), to_(to), epilogue_(epilogue), norm_(std::move(norm)),
          lanes_(int(norm_.factor.size())) {
        check_part(program, from, lanes_);
        check_part(program, to, lanes_);
        epilogue_.check(program, to.tensor, lanes_);
        const TensorSpec &in = program.spec(from.tensor), &out = program.spec(to.tensor);
        stride_ = out.stride / in.stride;
        if (out.stride % in.stride || lanes_ % kLanes || norm_.offset.size() != norm_.factor.size())
            throw std::invalid_argument("maximum: channels that do not fit its tensors");
    }

    void run(const Body<Number>& body) const override {
        const Number* residual = epilogue_.residual_of(body);
        const long in_row = body.lanes(from_.tensor), out_row = body.lanes(to_.tensor);
        const long residual_row = residual ? body.lanes(epilogue_.residual.tensor) : 0;
        const long last = body.frames(from_.tensor) - 1, frame = body.frame_size(from_.tensor);
        for (long t = 0; t < body.frames(to_.tensor); ++t) {
            const long at = t * stride_;
            const long before = at > 0 ? -frame : 0, after = at < last ? frame : 0;
            const Number* from = part_of(body, from_) + at * frame;
            for (long v = 0; v < body.joints(); ++v, from += in_row) {
                const long row = t * body.joints() + v;
                Number* to = part_of(body, to_) + row * out_row;
                for (int c = 0; c < lanes_; c += kLanes) {
                    Vector y = maximum(load(from + c), load(from + c + before));
                    y = maximum(y, load(from + c + after));
                    y = y * load(norm_.factor.data() + c) + load(norm_.offset.data() + c);
                    if (residual) y += load(residual + row * residual_row + c);
                    store(to + c, epilogue_.rectify ? rectified(y) : y);
                }
            }
        }
    }

private:
    Part from_, to_;
    Epilogue epilogue_;
    Affine norm_;
    int lanes_;
    long stride_;
};

// The mean over all rows of each lane of a tensor whose rows are contiguous.
template <class Number>
void mean_of_rows(const Number* from, long rows, long size, float* to) {
    const Vector share = broadcast(1.0f / float(rows));
    for (long c = 0; c < size; c += kLanes) {
        Vector even{}, odd{};
        long r = 0;
        for (; r + 1 < rows; r += 2) {
            even += load(from + r * size + c);
            odd += load(from + (r + 1) * size + c);
        }
        if (r < rows) even += load(from + r * size + c);
        store(to + c, (even + odd) * share);
    }
}

// The features of a body: the mean over frames and joints of each lane.
template <class Number>
class Mean : public Step<Number> {
public:
    Mean(Program<Number>& program, int tensor)
        : tensor_(tensor), lanes_(program.spec(tensor).lanes) {
        program.set_output(lanes_, 0);
    }
    size_t scratch(long joints, long) const override { return size_t(joints * lanes_); }
    void run(const Body<Number>& body) const override {
        mean_of_rows(body[tensor_], body.frames(tensor_), body.frame_size(tensor_), body.scratch);
        mean_of_rows(body.scratch, body.joints(), lanes_, body.out);
    }

private:
    int tensor_;
    long lanes_;
};

// The features of a body, frame by frame and joint by joint.
template <class Number>
class Rows : public Step<Number> {
public:
    Rows(Program<Number>& program, int tensor) : tensor_(tensor) {
        const TensorSpec& spec = program.spec(tensor);
        program.set_output(spec.lanes * program.joints(), spec.stride);
    }
    void run(const Body<Number>& body) const override {
        const long size = body.frames(tensor_) * body.frame_size(tensor_);
        for (long i = 0; i < size; ++i) body.out[i] = widened(body[tensor_][i]);
    }

private:
    int tensor_;
};

}  // namespace skelab
