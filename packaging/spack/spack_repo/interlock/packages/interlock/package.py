# packaging/spack: interlock, from a release's archive that lies in the working
# directory, or from the clone that this file is part of (interlock@main).
import os

from spack_repo.builtin.build_systems.autotools import AutotoolsPackage

from spack.package import *


class Interlock(AutotoolsPackage):
    """Trains deep networks whose depth is spread over MPI ranks: residual
    networks and Transformers, by local, N-wise interlocking and end-to-end
    learning."""

    homepage = "https://jmlr.org/papers/v23/20-1121.html"
    url = "file://{0}/interlock-0.2.0.tar.xz".format(os.getcwd())
    git = "file://" + os.path.realpath(os.path.join(os.path.dirname(__file__), *[".."] * 6))
    manual_download = True

    license("Apache-2.0")

    version("main", branch="main")
    # An archive cannot hold its own digest: spack install --no-checksum.
    version("0.2.0")

    variant("probe", default=True, description="The command probe, by ScaLAPACK")
    variant("images", default=True, description="Folders of JPEG and PNG images")

    depends_on("c", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("autoconf", type="build", when="@main")
    depends_on("automake", type="build", when="@main")

    depends_on("mpi@3.1:")
    depends_on("hdf5@1.10:+mpi")
    depends_on("onednn@2.6:3 cpu_runtime=omp")
    depends_on("hwloc@2:")
    depends_on("jansson@2.10:")
    depends_on("zlib-api")
    depends_on("libarchive")
    depends_on("xxhash@0.8:")
    depends_on("scalapack", when="+probe")
    depends_on("blas", when="+probe")
    depends_on("libjpeg-turbo", when="+images")
    depends_on("libpng", when="+images")

    build_directory = "build-spack"

    def configure_args(self):
        spec = self.spec
        args = ["MPICC=" + spec["mpi"].mpicc]
        # Spack's compiler finds the libraries; these need not be what it has.
        for name, variant in (
            ("scalapack", "+probe"),
            ("turbojpeg", "+images"),
            ("png", "+images"),
        ):
            args.append("--with{0}-{1}".format("" if spec.satisfies(variant) else "out", name))
        if spec.satisfies("+probe"):
            libs = spec["scalapack"].libs + spec["blas"].libs
            args.append("SCALAPACK_LIBS=" + libs.ld_flags)
        return args

    def test_kernels(self):
        """gradients against finite differences"""
        interlock = which(self.prefix.bin.interlock)
        out = interlock("verify", "gradients", output=str.split, error=str.split)
        assert "checks passed" in out
