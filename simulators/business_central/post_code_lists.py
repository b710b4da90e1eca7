"""Post codes that Microsoft ships with a company of a country (BCApps, CreatePostCode of each country layer).

Company's country, country of the code, then `code=city` or `code=city|county`; `from-to` fills gaps between numbers of
one city. Of the Swiss list only the round numbers are kept; its codes have no country, as shipped.
"""

POST_CODES: dict[str, dict[str, str]] = {
    "DK": {
        "DK": """
        1000-1473=København K; 1500-1799=København V; 1800-1974=Frederiksberg C; 2000=Frederiksberg;
        2100=Copenhagen; 2150=Nordhavn; 2200=København N; 2300=København S; 2400=København NV; 2450=København
        SV; 2500=Valby; 2600=Glostrup; 2605=Brøndby; 2610=Rødovre; 2620=Albertslund; 2625=Vallensbæk;
        2630=Tåstrup; 2635=Ishøj; 2640=Hedehusene; 2650=Hvidovre; 2660=Brøndby Strand; 2665=Vallensbæk Strand;
        2670=Greve; 2680=Solrød Strand; 2690=Karlslunde; 2700=Brønshøj; 2720=Vanløse; 2730=Herlev;
        2740=Skovlunde; 2750=Ballerup; 2760=Måløv; 2765=Smørum; 2770=Kastrup; 2791=Dragør; 2800=Kongens Lyngby;
        2820=Gentofte; 2830=Virum; 2840=Holte; 2850=Nærum; 2860=Søborg; 2870=Dyssegård; 2880=Bagsværd;
        2900=Hellerup; 2920=Charlottenlund; 2930=Klampenborg; 2942=Skodsborg; 2950=Vedbaek; 2960=Rungsted Kyst;
        2970=Hørsholm; 2980=Kokkedal; 2990=Nivå; 3000=Helsingør; 3050=Humlebæk; 3060=Espergærde;
        3070=Snekkersten; 3080=Tikøb; 3100=Hornbæk; 3120=Dronningmølle; 3140=Ålsgårde; 3150=Hellebæk;
        3200=Helsinge; 3210=Vejby; 3220=Tisvildeleje; 3230=Græsted; 3250=Gilleleje; 3300=Frederiksværk;
        3310=Ølsted; 3320=Skævinge; 3330=Gørløse; 3360=Liseleje; 3370=Melby; 3390=Hundested; 3400=Hillerød;
        3450=Allerød; 3460=Birkerød; 3480=Fredensborg; 3490=Kvistgård; 3500=Værløse; 3520=Farum; 3540=Lynge;
        3550=Slangerup; 3600=Frederikssund; 3630=Jægerspris; 3650=Ølstykke; 3660=Stenløse; 3670=Veksø Sjælland;
        3700=Rønne; 3720=Aakirkeby; 3730=Nexø; 3740=Svaneke; 3751=Østermarie; 3760=Gudhjem; 3770=Allinge;
        3782=Klemensker; 3790=Hasle; 4000=Roskilde; 4030=Tune; 4040=Jyllinge; 4050=Skibby; 4060=Kirke Såby;
        4070=Kirke Hyllinge; 4100=Ringsted; 4130=Viby Sjælland; 4140=Borup; 4160=Herlufmagle; 4171=Glumsø;
        4173=Fjenneslev; 4174=Jystrup Midtsj; 4180=Sorø; 4190=Munke Bjergby; 4200=Slagelse; 4220=Korsør;
        4230=Skælskør; 4241=Vemmelev; 4242=Boeslunde; 4243=Rude; 4250=Fuglebjerg; 4261=Dalmose; 4262=Sandved;
        4270=Høng; 4281=Gørlev; 4291=Ruds Vedby; 4293=Dianalund; 4295=Stenlille; 4296=Nyrup; 4300=Holbæk;
        4320=Lejre; 4330=Hvalsø; 4340=Tølløse; 4350=Ugerløse; 4360=Kirke Eskilstrup; 4370=Store Merløse;
        4390=Vipperød; 4400=Kalundborg; 4420=Regstrup; 4440=Mørkøv; 4450=Jyderup; 4460=Snertinge; 4470=Svebølle;
        4480=Store Fuglede; 4490=Jerslev Sjælland; 4500=Nykøbing Sj; 4520=Svinninge; 4532=Gislinge; 4534=Hørve;
        4540=Fårevejle; 4550=Asnæs; 4560=Vig; 4571=Grevinge; 4572=Nørre Asmindrup; 4573=Højby; 4581=Rørvig;
        4583=Sjællands Odde; 4591=Føllenslev; 4592=Sejerø; 4593=Eskebjerg; 4600=Koge; 4621=Gadstrup;
        4622=Havdrup; 4623=Lille Skensved; 4632=Bjæverskov; 4640=Faxe; 4652=Hårlev; 4653=Karise; 4654=Faxe
        Ladeplads; 4660=Store Heddinge; 4671=Strøby; 4672=Klippinge; 4673=Rødvig Stevns; 4681=Herfølge;
        4682=Tureby; 4683=Rønnede; 4684=Holme-Olstrup; 4690=Haslev; 4700=Næstved; 4720=Præstø; 4733=Tappernøje;
        4735=Mern; 4736=Karrebæksminde; 4750=Lundby; 4760=Vordingborg; 4771=Kalvehave; 4772=Langebæk;
        4773=Stensved; 4780=Stege; 4791=Borre; 4792=Askeby; 4793=Bogø By; 4800=Nykøbing F; 4840=Nørre Alslev;
        4850=Stubbekøbing; 4862=Guldborg; 4863=Eskilstrup; 4871=Horbelev; 4872=Idestrup; 4873=Væggerløse;
        4874=Gedser; 4880=Nysted; 4891=Toreby L; 4892=Kettinge; 4894=Øster Ulslev; 4895=Errindlev; 4900=Nakskov;
        4912=Harpelunde; 4913=Horslunde; 4920=Søllested; 4930=Maribo; 4941=Bandholm; 4943=Torrig L; 4944=Fejø;
        4951=Nørreballe; 4952=Stokkemarke; 4953=Vesterborg; 4960=Holeby; 4970=Rødby; 4983=Dannemare;
        4990=Sakskøbing; 5000-5100=Odense C; 5200=Odense V; 5210=Odense NV; 5220=Odense SØ; 5230=Odense M;
        5240=Odense NØ; 5250=Odense SV; 5260=Odense S; 5270=Odense N; 5290=Marslev; 5300=Kerteminde;
        5320=Agedrup; 5330=Munkebo; 5350=Rynkeby; 5370=Mesinge; 5380=Dalby; 5390=Martofte; 5400=Bogense;
        5450=Otterup; 5462=Morud; 5463=Harndrup; 5464=Brenderup Fyn; 5466=Asperup; 5471=Søndersø; 5474=Veflinge;
        5485=Skamby; 5491=Blommenslyst; 5492=Vissenbjerg; 5500=Middelfart; 5540=Ullerslev; 555=Scanning;
        5550=Langeskov; 5560=Aarup; 5580=Nørre Aaby; 5591=Gelsted; 5592=Ejby; 5600=Faaborg; 5610=Assens;
        5620=Glamsbjerg; 5631=Ebberup; 5642=Millinge; 5672=Broby; 5683=Haarby; 5690=Tommerup; 5700=Svendborg;
        5750=Ringe; 5762=Vester Skerninge; 5771=Stenstrup; 5772=Kværndrup; 5792=Årslev; 5800=Nyborg; 5853=Ørbæk;
        5854=Gislev; 5856=Ryslinge; 5863=Ferritslev Fyn; 5871=Frørup; 5874=Hesselager; 5881=Skårup Fyn;
        5882=Vejstrup; 5883=Oure; 5884=Gudme; 5892=Gudbjerg Sydfyn; 5900=Rudkøbing; 5932=Humble; 5935=Bagenkop;
        5953=Tranekær; 5960=Marstal; 5970=Ærøskøbing; 5985=Søby Ærø; 6000=Kolding; 6040=Egtved; 6051=Almind;
        6052=Viuf; 6064=Jordrup; 6070=Christiansfeld; 6091=Bjert; 6092=Sønder Stenderup; 6093=Sjølund;
        6094=Hejls; 6100=Haderslev; 6200=Aabenraa; 6230=Rødekro; 6240=Løgumkloster; 6261=Bredebro; 6270=Tønder;
        6280=Højer; 6300=Gråsten; 6310=Broager; 6320=Egernsund; 6330=Padborg; 6340=Kruså; 6360=Tinglev;
        6372=Bylderup-Bov; 6392=Bolderslev; 6400=Sønderborg; 6430=Nordborg; 6440=Augustenborg; 6470=Sydals;
        6500=Vojens; 6510=Gram; 6520=Toftlund; 6534=Agerskov; 6535=Branderup J; 6541=Bevtoft; 6560=Sommersted;
        6580=Vamdrup; 6600=Vejen; 6621=Gesten; 6622=Bække; 6623=Vorbasse; 6630=Rødding; 6640=Lunderskov;
        6650=Brørup; 6660=Lintrup; 6670=Holsted; 6682=Hovborg; 6683=Føvling; 6690=Gørding; 6700-6701=Esbjerg;
        6705=Esbjerg Ø; 6710=Esbjerg V; 6715=Esbjerg N; 6720=Fanø; 6731=Tjæreborg; 6740=Bramming;
        6752=Glejbjerg; 6753=Agerbæk; 6760=Ribe; 6771=Gredstedbro; 6780=Skærbæk; 6792=Rømø; 6800=Varde;
        6818=Årre; 6823=Ansager; 6830=Nørre Nebel; 6840=Oksbøl; 6851=Janderup Vestj; 6852=Billum; 6853=Vejers
        Strand; 6854=Henne; 6855=Outrup; 6857=Blåvand; 6862=Tistrup; 6870=Ølgod; 6880=Tarm; 6893=Hemmet;
        6900=Skjern; 6920=Videbæk; 6933=Kibæk; 6940=Lem St; 6950=Ringkøbing; 6960=Hvide Sande; 6971=Spjald;
        6973=Ørnhøj; 6980=Tim; 6990=Ulfborg; 7000=Fredericia; 7017=Taulov Pakkecenter; 7080=Børkop; 7100=Vejle;
        7120=Vejle Øst; 7130=Juelsminde; 7140=Stouby; 7150=Barrit; 7160=Tørring; 7171=Uldum; 7173=Vonge;
        7182=Bredsten; 7183=Randbøl; 7184=Vandel; 7190=Billund; 7200=Grindsted; 7250=Hejnsvig; 7260=Sønder Omme;
        7270=Stakroge; 7280=Sønder Felding; 7300=Jelling; 7321=Gadbjerg; 7323=Give; 7330=Brande;
        7361=Ejstrupholm; 7362=Hampen; 7400=Herning; 7430=Ikast; 7441=Bording; 7442=Engesvang; 7451=Sunds;
        7470=Karup J; 7480=Vildbjerg; 7490=Aulum; 7500=Holstebro; 7540=Haderup; 7550=Sørvad; 7560=Hjerm;
        7570=Vemb; 7600=Struer; 7620=Lemvig; 7650=Bøvlingbjerg; 7660=Bækmarksbro; 7673=Harboøre; 7680=Thyborøn;
        7700=Thisted; 7730=Hanstholm; 7741=Frøstrup; 7742=Vesløs; 7752=Snedsted; 7755=Bedsted Thy; 7760=Hurup
        Thy; 7770=Vestervig; 7790=Thyholm; 7800=Skive; 7830=Vinderup; 7840=Højslev; 7850=Stoholm Jyll;
        7860=Spøttrup; 7870=Roslev; 7884=Fur; 7900=Nykøbing M; 7950=Erslev; 7960=Karby; 7970=Redsted M;
        7980=Vils; 7990=Øster Assels; 7996=Fakturaservice; 7997=Fakturascanning; 7999=Kommunepost; 800=Høje
        Taastrup; 8000=Arhus C; 8100=Aarhus C; 8200=Arhus N; 8210=Aarhus V; 8220=Brabrand; 8230=Åbyhøj;
        8240=Risskov; 8245=Risskov Ø; 8250=Egå; 8260=Viby J; 8270=Højbjerg; 8300=Odder; 8305=Samsø;
        8310=Tranbjerg J; 8320=Mårslet; 8330=Beder; 8340=Malling; 8350=Hundslund; 8355=Solbjerg;
        8361=Hasselager; 8362=Hørning; 8370=Hadsten; 8380=Trige; 8381=Tilst; 8382=Hinnerup; 8400=Ebeltoft;
        8410=Rønde; 8420=Knebel; 8444=Balle; 8450=Hammel; 8462=Harlev J; 8464=Galten; 8471=Sabro; 8472=Sporup;
        8500=Grenaa; 8520=Lystrup; 8530=Hjortshøj; 8541=Skødstrup; 8543=Hornslet; 8544=Mørke; 8550=Ryomgård;
        8560=Kolind; 8570=Trustrup; 8581=Nimtofte; 8585=Glesborg; 8586=Ørum Djurs; 8592=Anholt; 8600=Silkeborg;
        8620=Kjellerup; 8632=Lemming; 8641=Sorring; 8643=Ans By; 8653=Them; 8654=Bryrup; 8660=Skanderborg;
        8670=Låsby; 8680=Ry; 8700=Horsens; 8721=Daugård; 8722=Hedensted; 8723=Løsning; 8732=Hovedgård;
        8740=Brædstrup; 8751=Gedved; 8752=Østbirk; 8762=Flemming; 8763=Rask Mølle; 8765=Klovborg; 8766=Nørre
        Snede; 877=København C; 8781=Stenderup; 8783=Hornsyld; 8800=Viborg; 8830=Tjele; 8831=Løgstrup;
        8832=Skals; 8840=Rødkærsbro; 8850=Bjerringbro; 8860=Ulstrup; 8870=Langå; 8881=Thorsø; 8882=Fårvang;
        8883=Gjern; 8900=Randers C; 8920=Randers NV; 8930=Randers NØ; 8940=Randers SV; 8950=Ørsted; 8960=Randers
        SØ; 8961=Allingåbro; 8963=Auning; 8970=Havndal; 8981=Spentrup; 8983=Gjerlev J; 8990=Fårup; 900=København
        C; 9000=Alborg; 917=Københavns Pakkecenter; 918=Københavns Pakke BRC; 9200=Aalborg SV; 9210=Aalborg SØ;
        9220=Aalborg Øst; 9230=Svenstrup J; 9240=Nibe; 9260=Gistrup; 9270=Klarup; 9280=Storvorde;
        9293=Kongerslev; 9300=Sæby; 9310=Vodskov; 9320=Hjallerup; 9330=Dronninglund; 9340=Asaa; 9352=Dybvad;
        9362=Gandrup; 9370=Hals; 9380=Vestbjerg; 9381=Sulsted; 9382=Tylstrup; 9400=Nørresundby; 9430=Vadum;
        9440=Aabybro; 9460=Brovst; 9480=Løkken; 9490=Pandrup; 9492=Blokhus; 9493=Saltum; 9500=Hobro; 9510=Arden;
        9520=Skørping; 9530=Støvring; 9541=Suldrup; 9550=Mariager; 9560=Hadsund; 9574=Bælum; 9575=Terndrup;
        9600=Aars; 9610=Nørager; 9620=Aalestrup; 9631=Gedsted; 9632=Møldrup; 9640=Farsø; 9670=Løgstør;
        9681=Ranum; 9690=Fjerritslev; 9700=Brønderslev; 9740=Jerslev J; 9750=Østervrå; 9760=Vrå; 9800=Hjørring;
        9830=Tårs; 9850=Hirtshals; 9870=Sindal; 9881=Bindslev; 9900=Kugleby; 9940=Læsø; 9970=Strandby;
        9981=Jerup; 9982=Ålbæk; 999=København C; 9990=Skagen
        """,
        "GB": """
        GB-B27 4KT=Birmingham; GB-B31 2AL=Birmingham; GB-B32 4TF=Sparkhill, Birmingham; GB-B68 5TT=Bromsgrove;
        GB-BA24 6KS=Bath; GB-BR1 2ES=Bromley; GB-BS3 6KL=Bristol; GB-CB3 7GG=Cambridge; GB-CF22 1XU=Cardiff;
        GB-CT6 21ND=Hythe; GB-CV6 1GY=Coventry; GB-DA5 3EF=Sidcup; GB-DY5 4DJ=Dudley; GB-E12 5TG=Edinburgh;
        GB-EH16 8JS=Edinburgh; GB-GL1 9HM=Gloucester; GB-GL78 5TT=Cheltenham; GB-GU2 7YQ=Guildford; GB-GU3
        2SE=Guildford; GB-GU7 5GT=Guildford; GB-HG1 7YW=Ripon; GB-HP43 2AY=Tring; GB-IB7 7VN=Gainsborough;
        GB-L18 6SA=Liverpool; GB-LE16 7YH=Leicester; GB-LL6 5GB=Rhyl; GB-LN23 6GS=Lincoln; GB-LU3 4FY=Luton;
        GB-M22 5TG=Manchester; GB-M61 2YG=Manchester; GB-ME5 6RL=Maidstone; GB-MK21 7GG=Bletchley; GB-MK41
        5AE=Bedford; GB-MO2 4RT=Manchester; GB-N12 5XY=London; GB-N16 34Z=London; GB-NE21 3YG=Newcastle; GB-NP5
        6GH=Newport; GB-OX16 0UA=Cheddington; GB-PE17 4RN=Cambridge; GB-PE21 3TG=Peterborough; GB-PE23 5IK=Kings
        Lynn; GB-PL14 5GB=Plymouth; GB-PO21 6HG=Southsea, Portsmouth; GB-PO7 2HI=Portsmouth; GB-SA1 2HS=Swansea;
        GB-SA3 7HI=Stratford; GB-SK21 5DL=Macclesfield; GB-TA3 4FD=Newquay; GB-TN27 6YD=Ashford; GB-TQ17
        8HB=Brixham; GB-W1 3AL=London; GB-W2 8HG=London; GB-WC1 2GS=West End Lane; GB-WC1 3DG=London; GB-WD1
        6YG=Watford; GB-WD2 4RG=Watford; GB-WD6 8UY=Borehamwood; GB-WD6 9HY=Borehamwood
        """,
        "US": """
        US-FL 37125=Hilliard
        """,
    },
    "DE": {
        "AT": """
        1100-1230=Wien; 2355=Wr. Neudorf; 4810=Gmunden; 5730=Mittersill; 8850=Murau
        """,
        "AU": """
        2000=Sydney, NSW; 2500=Wollongong, NSW; 3000=Melbourne, VIC; 4000=Brisbane, QLD; 6800=Perth, WA;
        7178=Murdunna, TAS
        """,
        "BE": """
        1851=Humbeek; 2050=Antwerpen; 2200=Herentals; 2800=Mechelen; 3000=Leuven; 8500=Kortrijk
        """,
        "BG": """
        1000=Sofia; 2500=Kustendil; 2700=Blagoevgrad; 4000=Plovdiv; 8700=Elhovo; 9000=Varna
        """,
        "BR": """
        05428-002=Sao Paulo SP; 22291-040=Rio de Janeiro RJ; 51021-040=Recife PE; 70710-926=Brasilia DF;
        80020-290=Curitiba PR; 90040-130=Porto Alegre RS
        """,
        "CA": """
        MB R0M 0N0=Elkhorn; ON L6J 3J3=Oakville; ON M5E 1G5=Toronto; ON N6B 1V7=London; ON P7A 4K8=Thunder Bay;
        ON P7B 5E2=Thunder Bay
        """,
        "CH": """
        4133=Pratteln; 6005=Luzern; 6343=Rotkreuz; 6405=Immensee; 8152=Glattbrugg; 8200=Schaffhausen
        """,
        "CZ": """
        669 02=Znojmo; 678 01=Blansko; 687 71=Bojkovice; 696 42=Vracov; 697 01=Kyjov; 779 00=Olomouch
        """,
        "DE": """
        01238=Dresden; 01310=Dresden; 20097=Hamburg; 20203=Hamburg; 22417=Hamburg 36; 29292=Bremen;
        40593=Dusseldorf; 43383=Dortmund; 48436=Dusseldorf; 49293=Diepholz; 58585=Hagen; 59393=Neustadt;
        59591=Frankfurt/Main; 60320=Frankfurt/Main; 72800=Eningen; 80807=Munchen; 80997=Munchen; 86899=Landsberg
        am Lech; 92929=Luisenberg; 94242=Regensburg; 99081=Erfurt
        """,
        "DK": """
        2100=Copenhagen; 2950=Vedbaek; 4600=Koge; 5000=Odense C; 5800=Nyborg; 8000=Arhus C; 8200=Arhus N;
        9000=Alborg
        """,
        "DZ": """
        05400=BARIKA; 16000=ALGIERS; 16012=ALGIERS; 16027=ALGIERS; 21000=MOSTAGANCU; 40000=KHENCHE
        """,
        "EE": """
        10127=Tallinn; 20607=Narva; 44313=Rakvere; 45109=Tapa; 49603=Mustvee; 76806=Paldiski
        """,
        "EL": """
        106 75=Athens; 106 82=Athens; 185 40=Piraeus; 546 35=Thessaloniki; 731 33=Chania; 851 03=Kolymbia
        """,
        "ES": """
        03003=Alicante; 07001=Palma Mallorca; 08010=Barcelona; 10003=Caceres; 28003=Madrid; 36004=Pontevedra;
        37001=Salamanca; 41006=Sevilla; 46007=Valencia; 47002=Valladolid; 50001=Zaragoza
        """,
        "FI": """
        00100=Helsinki; 00101=Helsinki; 00260=Helsinki; 01800=Klaukkala; 05400=Jokela; 88900=Kuhmo
        """,
        "FR": """
        44450=LA CHAPELLE BASSE MER; 50670=CASSEL; 75000=PARIS; 77450=ESBLY; 78370=PLAISIR; 83250=LA LONDE LES
        MAURES
        """,
        "GB": """
        B27 4KT=Birmingham; B31 2AL=Birmingham; B32 4TF=Sparkhill, Birmingham; B68 5TT=Bromsgrove; BA24
        6KS=Bath; BR1 2ES=Bromley; BS3 6KL=Bristol; CB3 7GG=Cambridge; CF22 1XU=Cardiff; CT6 21ND=Hythe; CV6
        1GY=Coventry; DA5 3EF=Sidcup; DY5 4DJ=Dudley; E12 5TG=Edinburgh; EH16 8JS=Edinburgh; GL1 9HM=Gloucester;
        GL78 5TT=Cheltenham; GU3 2SE=Guildford; GU7 5GT=Guildford; HG1 7YW=Ripon; HP43 2AY=Tring; IB7
        7VN=Gainsborough; L18 6SA=Liverpool; LE16 7YH=Leicester; LL6 5GB=Rhyl; LN23 6GS=Lincoln; LU3 4FY=Luton;
        M61 2YG=Manchester; ME5 6RL=Maidstone; MK21 7GG=Bletchley; MK41 5AE=Bedford; MO2 4RT=Manchester; N12
        5XY=London; N16 34Z=London; NE21 3YG=Newcastle; NP5 6GH=Newport; OX16 0UA=Cheddington; PE17
        4RN=Cambridge; PE21 3TG=Peterborough; PE23 5IK=Kings Lynn; PL14 5GB=Plymouth; PO21 6HG=Southsea,
        Portsmouth; PO7 2HI=Portsmouth; SA1 2HS=Swansea; SA3 7HI=Stratford; SK21 5DL=Macclesfield; TA3
        4FD=Newquay; TN27 6YD=Ashford; TQ17 8HB=Brixham; W1 3AL=London; W2 8HG=London; WC1 2GS=West End Lane;
        WC1 3DG=London; WD1 6YG=Watford; WD2 4RG=Watford; WD6 8UY=Borehamwood; WD6 9HY=Borehamwood
        """,
        "HR": """
        10000=Zagreb; 20000=Dubrovnik; 21000=Split; 22000=Sibenik; 43000=Bjelovar; 52210=Rovinj
        """,
        "HU": """
        1107-1204=Budapest; 2500=Esztergom; 3258=Tarnalelesz; 3325=Noszvaj
        """,
        "ID": """
        10310=Jakarta; 10440=Jakarta; 11470=Jakarta; 15156=Tangerang; 40135=Bandung; 60172=Surabaya
        """,
        "IND": """
        110002=Delhi; 400001=Mumbai; 440001=Nagpur; 560001=Bengaluru; 600001=Chennai; 700001=Kolkata
        """,
        "IS": """
        101=Reykjavik; 108=Reykjavik; 112=Reykjavik; 200=Kopavogur; 220=Hafnafjordur; 300=Akranes
        """,
        "IT": """
        00100=ROMA RM; 10100=TORINO TO; 20100=MILANO MI; 39100=BOLZANO BZ; 61100=SANTA VENERANDA PS;
        67067=PESCINA AQ
        """,
        "KE": """
        0 0100=Nairobi; 0 1007=Kairi; 5 0413=Adungosi; 6 0500=Marsabit; 8 0100=Mombasa; 8 0200=Malindi
        """,
        "LT": """
        2600-2700=Vilnius; 3000-3042=Kaunas; 4600=Rudiskes; 5800=Klaipeda
        """,
        "LV": """
        1011-1039=Riga; 3270=Dundaga; 3900=Bauska; 5002=Ogre; 5113=Koknese
        """,
        "MA": """
        10100=AGDAL-RABAT; 10101=RIAD-RABAT; 12000=TEMARA; 20000=CASABLANCA; 20200=CASABLANCA; 20800=MOHAMMEDIA;
        90000=KASBAH TANGER
        """,
        "MX": """
        01030=Mexico City, DF; 06000=Mexico City, DF; 37500=Leon, Guanajuato; 64640=Monterrey, Nuevo Leon;
        78030=San Luis Potosi, San Luis; 82100=Mazatlan, Sinaloa
        """,
        "MY": """
        42000=PELABUHAN KLANG, Selangor; 47400=PETALING JAYA, Selangor; 50450=AMPANG, Kuala Lumpur; 57000=KUALA
        LUMPUR; 88100=KOTA KINABALU, Sabah; 93450=KUCHING, Sarawak
        """,
        "MZ": """
        00300=Maputo
        """,
        "NG": """
        300001=BENIN, Edo state; 900001=ABUJA; 930283=JOS, Plateau state; 931104=GHOH, Plateau state
        """,
        "NL": """
        1009 AG=Amsterdam; 1530 JM=Zaandam; 5132 EE=Waalwijk; 6827 BP=Arnhem; 7202 BP=Zutphen; 7321 HE=Apeldoorn
        """,
        "NO": """
        0552-0661=Oslo; 1300=Sandvika; 1324=Lysaker; 1344=Haslum; 1370=Asker; 1400=Ski
        """,
        "NZ": """
        1001=Auckland; 5473=Woodville; 5491=Dannevirke; 6001=Wellington; 7900=Hokitika; 8001=Christchurch
        """,
        "PH": """
        1000=Manila; 1003=Santa Cruz, Manila; 1012=Tondo, Manila; 1117=Capri, Quezon City; 1440=Valenzuela;
        7000=Zamboanga City
        """,
        "PL": """
        02-515=Warszawa; 11-430=Korsze; 14-510=Orneta; 15-660=Bialystok; 45-418=Opole; 59-300=Lubin
        """,
        "PT": """
        1050-042=LISBOA; 1100-150=LISBOA; 3000-337=COIMBRA; 4000-322=PORTO; 9000-064=FUNCHAL; 9500-101=PONTA
        DELGADA
        """,
        "RO": """
        050724=Bucuresti; 050729=Bucuresti; 051511=Bucuresti; 200331=Craiova; 500209=Brasov; 550264=Sibiu
        """,
        "RS": """
        11000=Beograd; 11001=Beograd; 19210=Bor; 21000=Novi Sad; 24000=Subotica; 34000=Kragujevac
        """,
        "RU": """
        103054=Moskva; 109456=Moskva; 197342=Sankt Petersburg; 443008=Samara; 603061=Nizhny Novgorod;
        690001=Vladivostok
        """,
        "SE": """
        114 32=Stockholm; 302 50=Halmstad; 415 06=Goteborg; 521 03=Kinnared; 550 05=Jonkobing; 600
        03=Norrkobing; 852 33=Sundsvall
        """,
        "SG": """
        038988=Singapore
        """,
        "SI": """
        1000=Ljubljana; 2000=Maribor; 3231=Grobelno; 4502=Kranj; 6000=Koper; 8283=Blanca
        """,
        "SK": """
        026 01=Dolny Kubin; 049 21=Betliar; 813 38=Bratislava; 821 04=Bratislava; 905 01=Senica; 985 01=Kalinovo
        """,
        "SZ": """
        H100=Mbabane; H101=Swazi Plaza; H108=Piggs Peak; H200=Manzini; L300=Siteki; S400=Nhlangano
        """,
        "TH": """
        10260=Bang Na, Bangkok; 10500=Bang Rak, Bangkok; 10510=Khlong Samwa, Bangkok; 17120=Wat Sing, Chai Nat;
        31260=Non Dindaeng, Buri Ram; 50120=San Pa Tong, Chiang Mai
        """,
        "TN": """
        1002=Tunis Belvedere; 1030=Tunis; 1111=Zaghouan; 3100=Kairouan; 8129=Ain Draham; 8170=Bou Salem
        """,
        "TR": """
        06531=Ankara; 42020=Konya; 45030=Manisa; 80080=Istanbul; 81420=Kartal-Istanbul; 81700=Tuzla-Istanbul
        """,
        "TZ": """
        DSM=Dar Es Salaam
        """,
        "UG": """
        EBB=Entebbe; KLA=Kampala
        """,
        "US": """
        AL 35242=Birmingham; FL 37125=Miami|FL; GA 31772=Atlanta|GA; IL 61236=Chicago; NY 11010=New York; SC
        27136=Colombia
        """,
        "ZA": """
        0001=Pretoria; 0700=Pietersburg; 2000=Johannesburg; 2500=Carletonville; 2940=Newcastle; 3600=Durban;
        3900=Richards Bay; 6000=Port Elizabeth; 8000=Cape Town; 9300=Bloemfontein
        """,
    },
    "CH": {
        "": """
        1000=Lausanne|VD; 1200=Genève|GE; 1300=Eclépens CC AP|VD; 1400=Cheseaux-Noréaz|VD; 1700=Fribourg|FR;
        1800=Vevey|VD; 2000=Neuchâtel|NE; 2300=La Chaux-de-Fonds|NE; 2400=Le Locle|NE; 2500=Biel/Bienne|BE;
        2800=Delémont|JU; 2900=Porrentruy|JU; 3000=Bern|BE; 3400=Burgdorf|BE; 3600=Thun|BE; 3700=Spiez|BE;
        3800=Interlaken|BE; 3900=Brig|VS; 4000=Basel|BS; 4500=Solothurn|SO; 4600=Olten|SO; 4800=Zofingen|AG;
        4900=Langenthal|BE; 5000=Aarau|AG; 5200=Brugg AG|AG; 5300=Turgi|AG; 5400=Baden|AG; 5600=Ammerswil AG|AG;
        6000=Luzern|LU; 6300=Zug|ZG; 6500=Bellinzona|TI; 6600=Locarno|TI; 6900=Lugano|TI; 7000=Chur|GR; 7500=St.
        Moritz|GR; 8000=Zürich|ZH; 8200=Schaffhausen|SH; 8400=Winterthur|ZH; 8500=Frauenfeld|TG;
        8600=Dübendorf|ZH; 8700=Küsnacht ZH|ZH; 8800=Thalwil|ZH; 9000=St. Gallen|SG; 9100=Herisau|AR;
        9200=Gossau SG|SG; 9300=Wittenbach|SG; 9400=Rorschach|SG; 9500=Wil SG|SG
        """,
    },
}
