#pragma once

/// Marks a function that runs on the host and in CUDA kernels. The library's only macro.
#if defined(__CUDACC__)
#define CAPRL_HD __host__ __device__
#else
#define CAPRL_HD
#endif
