# packaging/spack: oneDNN beyond Spack's newest, with its recipe; digests as
# published by those who pin these archives (XLA 3.7.3, Homebrew 3.5.3).
from spack_repo.builtin.packages.onednn.package import Onednn as BuiltinOnednn

from spack.package import *


class Onednn(BuiltinOnednn):
    __doc__ = BuiltinOnednn.__doc__

    version("3.7.3", sha256="071f289dc961b43a3b7c8cbe8a305290a7c5d308ec4b2f586397749abdc88296")
    version("3.5.3", sha256="ddbc26c75978c5e864050f699dbefbf5bff9c0b8d2af827845708e1376471f17")
