"""A tiny photo in each format that fdikp reads and does not write: plain middle grey, for testing an installation."""

import base64
import zlib

_PACKED = {
    "heic": (  # 24 × 16 pixels, by pillow-heif
        "c-muNV30{GsVvAy%}izhg51nBLl8SRGck>Ufw3kxwIq=N0u(b+a*CjAhJwuG5(YG&l$nzcHpIn&fe{FSfN=qY1_Cu8R?f`KO9S&j"
        "qM|@fDif5KQI>27V)7MamgK^f{K+gRDge@VG7FOPfpjTQnKL6ZNN56Bk=zG{KYxGxU|`^9P5|nVaA4$N{Qn=MfElEM8HD6^F*zgx"
        "B{iKG8PQ}GC^WK8d$n%Xvj>U`4m2<@@HBvgTatjP*<2V879Z>c+98~rpHq~VoKpc5<z-+4Dq#@GEG|feddvZeHIj1@K@O9Ex?KQ7"
        "|NsC029Ra~(icE9NW37kA`_&MnS+A^q&~AC7Z%3AU}J4$VrFdtvh{LP5<y|Cq`|meSW$M`kLX~|j@LR4JAEQFE5j8g=N+h6Z`9tm"
        "cm1pc0Pfgaz5"
    ),
    "jxl": (  # 24 × 16 pixels, by pylibjxl
        "c-s5V#q6lU!NSO3!{9B^E!q(K<39sKQ1J?81^`wr2Lb"
    ),
    "jp2": (  # 24 × 16 pixels, by Pillow
        "c-muNVBpCLP*C9IYUg5LU=T?wsVvAUFj4@r8KAT-kj?<oVwo8!ML=2rh$R@9+1WvA82FR(bBY+jOpwGvpyK5J{{I6R^ub~hP;nSQ"
        "<ukK0GD6V*AO;?w03!nn3kw6|{}=`V2L}(2066-e!l25)=v<VVSdyBekW{JQUyz#T72xWwP?lO$oSC1eV5DcNXYzjn0~gq2S)d`4"
        "8&JXjn*e^}Fjx"
    ),
    "gif": (  # 24 × 16 pixels, by Pillow
        "c-nLKbh9u|lwc5GXk=h$XlP)70UZzl5_jNGVqoNu@z}87U^9oXR?LYF3lFyoD0|KE*tqCuw}f%loeTp725SHaXc8L"
    ),
    "bmp": (  # 24 × 16 pixels with a palette of one colour
        "c-nLFtzv)xD<IYYVhJD?0AfZUL<caDhK2?PN&x^JTmu&"
    ),
    "raw": (  # 22 × 22 pixels, an uncompressed DNG
        "c-r&y)MDUZU|<kuU|?inU<9(nfS3`9&BVwIW(xo@Gn5U&Y*4mx0|Ns;BNGD~kgWt15P-5ZfNVjiIU9h4D3V?=B=g0g>=Vok3{s4&"
        "V74BRkcP6&7(r$s^!7F}GcbYN1%!P~j0`LcU<We^9fPoe#xaN-V`AU|vh9Exq>e%Kf`BZP{okH}LGc(D11FH}1v38_D+ADahDktn"
        "6jY5URF7|Bc4`rWZ+=Q@4%`he43<-X$W5yQ`dyuY;p^f5|3P%y8wjm_3qrejLgeQ&LTFtk2+jEeBJZUM;iKCD!w|5UcNC7oQ8?5g"
        "0M>PtaR"
    ),
}


def sample(name: str) -> bytes:
    """Return the file of a photo in the format `name`, a key of `fdikp.imaging.FORMATS`; KeyError if there is none."""
    return zlib.decompress(base64.b85decode(_PACKED[name]))
