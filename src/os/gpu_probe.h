#pragma once

namespace keisei::os {

// What GpuSampler and keisei-gpu-probe have agreed on: messages over a SOCK_SEQPACKET pair. A
// question is the pid_t's that it is about, 0 for nobody; an answer is what encode(GpuAnswer)
// makes.
inline constexpr int kGpuProbeSocket = 3;
inline constexpr int kGpuMostPids = 4096;  ///< in a question

}  // namespace keisei::os
