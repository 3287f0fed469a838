# Compiles CUDA sources for one architecture wherever the toolkit is found; nothing is linked or run, and no GPU is needed.
find_program(CAPRL_NVCC nvcc HINTS "${CUDAToolkit_ROOT}" /usr/local/cuda PATH_SUFFIXES bin)
set(CAPRL_CUDA_ARCH "sm_90" CACHE STRING "The CUDA architecture that the kernels are compiled for, as in nvcc -arch=")

# caprl_compile_for_cuda(<target> <source>): part of the default build.
function(caprl_compile_for_cuda target source)
  set(object "${CMAKE_CURRENT_BINARY_DIR}/${target}.o")
  set(launcher "")
  if(CAPRL_CCACHE)
    set(launcher "${CAPRL_CCACHE}")
  endif()
  set(strict "")
  if(CAPRL_WERROR)
    set(strict -Werror all-warnings)
  endif()
  # 554: Rows<const T> has a conversion to itself, which is never called.
  add_custom_command(
    OUTPUT "${object}"
    COMMAND ${launcher} "${CAPRL_NVCC}" -std=c++20 -arch=${CAPRL_CUDA_ARCH} --expt-relaxed-constexpr ${strict}
            -diag-suppress 554 "-I${PROJECT_SOURCE_DIR}/include" -MD -MF "${object}.d" -c "${source}" -o "${object}"
    DEPENDS "${source}"
    DEPFILE "${object}.d"
    COMMENT "Compiling ${target} for CUDA ${CAPRL_CUDA_ARCH}"
    VERBATIM)
  add_custom_target(${target} ALL DEPENDS "${object}")
endfunction()
